//! `admit publish --follow`: publishes the changes from the origin's feed until it is stopped.
//!
//! A follower runs for years. It waits out unusual answers of the origin and of the store, and asks again. Only a
//! wrong command line, another publisher in its place, and the store's own refusal end a follower.
//!
//! `machine` decides: a state machine without I/O, from one event to the next request. `driver` carries out the requests,
//! and holds the content. `monitor` has the metrics.

mod driver;
mod machine;
mod monitor;
#[cfg(test)]
mod tests;

use std::{process::ExitCode, sync::Arc, time::Duration};

use admit_snapshot::{index::Index, object::ObjectKind};
use anyhow::{Context as _, Result};

use self::{
    driver::Driver,
    machine::Cause,
    monitor::{Monitor, Task},
};
use super::{
    EXIT_DATA, RunLease,
    publisher::Publisher,
    whole,
    whole::{PublishedWhole, WholeOutcome},
};
use crate::{
    output::{Level, Notice, tell_notice, write_notice},
    peer::{Unheard, outage::Outage, unheard},
    run::Settings,
    store::{LeaseHeld, reach::decode_index},
};

/// A lease that ends within this many seconds is waited for: as long as the leases of earlier versions of
/// this command.
const LEASE_WAIT_MAX_SECS: u64 = 120;

/// Publishes everything, and follows the origin from there.
///
/// # Errors
/// The command line is wrong, another publisher is at work, or the store says that this one may not publish.
pub fn run(settings: &Settings, from: &str, publisher: Publisher, lease: &RunLease) -> Result<ExitCode> {
    let monitor = Arc::new(Monitor::new(settings.outside.time.unix_secs()?)?);
    monitor.watch(&publisher.store);
    if let Some(listen) = settings.metrics {
        let address = admit_metrics::serve(listen, Arc::clone(&monitor) as _)
            .with_context(|| format!("--metrics: cannot listen on {listen}"))?;
        let text = format!("Metrics at http://{address}/metrics");
        write_notice(&Notice::new("metrics", text).with("address", address.to_string()));
    }
    let Some(whole) = first_whole(settings, from, &publisher, lease, &monitor)? else {
        return Ok(ExitCode::from(EXIT_DATA));
    };
    let driver = Driver::new(settings, lease, publisher, whole, monitor)?;
    let (feed, seq) = (driver.feed(), driver.follower.head().origin_seq());
    let text = format!("Following {feed} from {seq}");
    write_notice(&Notice::new("following", text).with("feed", feed).with("origin_seq", seq));
    driver.run()
}

/// A fully published version, to continue from.
struct WholeVersion {
    version: PublishedWhole,
    index: Index,
}

impl WholeVersion {
    /// Publishes everything; `None` if the data is wrong, which has been reported.
    fn publish(
        settings: &Settings,
        from: &str,
        publisher: &Publisher,
        lease: &RunLease,
    ) -> Result<Option<Self>> {
        let WholeOutcome::Published(version) = whole::run(settings, from, publisher, lease)? else {
            return Ok(None);
        };
        let index = publisher.object(ObjectKind::Index, version.head.index).map_err(|error| {
            // The index was published a moment ago, and is gone or not visible yet: publish everything once
            // more, with all objects.
            publisher.trust_nothing_once();
            Unheard::new(format!("the index that was just published: {error:#}"))
        })?;
        let index = decode_index(index)?;
        Ok(Some(Self { version: *version, index }))
    }
}

/// Publishes everything as soon as origin and store are heard. A lease in the way may be left over from
/// another machine, so its end is waited for, once.
fn first_whole(
    settings: &Settings,
    from: &str,
    publisher: &Publisher,
    lease: &RunLease,
    monitor: &Monitor,
) -> Result<Option<WholeVersion>> {
    let (time, mut outage) = (&settings.outside.time, Outage::default());
    let mut has_waited = false;
    loop {
        let error = match WholeVersion::publish(settings, from, publisher, lease) {
            Err(error) if unheard(&error).is_some() => error,
            Err(error) => {
                let ends_in_secs = error.downcast_ref::<LeaseHeld>().and_then(|held| held.ends_in_secs);
                match ends_in_secs.filter(|secs| !has_waited && *secs <= LEASE_WAIT_MAX_SECS) {
                    Some(secs) => {
                        eprintln!("warning: {error:#}. Waiting for its end");
                        has_waited = true;
                        time.sleep(Duration::from_secs(secs + 1));
                        continue;
                    }
                    None => return Err(error),
                }
            }
            Ok(published) => {
                if let Some(WholeVersion { version, .. }) = &published {
                    monitor.replaced(&version.head, &version.head, true, time.unix_secs()?);
                }
                return Ok(published);
            }
        };
        monitor.failed(Task::Whole, Cause::of(&error));
        let asked = unheard(&error).and_then(|unheard| unheard.retry_after);
        let pause = outage.failed(&format!("{error:#}"), asked, time.unix_secs()?);
        pause.say.iter().for_each(|notice| tell_notice(notice, Level::Warning));
        time.sleep(pause.pause);
    }
}
