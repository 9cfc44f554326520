//! Accepts connections, and bounds their number, their number per address, and how long each may be idle.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Future, pending},
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

use super::stall::Stalling;
use crate::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, END_TIMEOUT, HEADERS_MAX_BYTES, HEADERS_TIMEOUT, WRITE_TIMEOUT,
};

/// The bounds of connections before a sender has identified itself.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of one address.
    pub per_address: usize,
    /// How long the headers of the first request may take.
    pub first_headers: Duration,
}

/// Serves connections until `end` resolves, then finishes the answers in progress.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, end: impl Future<Output = ()>) {
    let (graceful, slots) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let addresses = Arc::new(Addresses { most: bounds.per_address, ..Addresses::default() });
    let mut end = pin!(end);
    loop {
        // When all places are taken, new clients wait in the system's accept queue.
        let accepted = async {
            // The slot is taken before the connection is accepted, and freed with the task below.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A connection beyond the address's bound is closed at once; its other connections go on.
                let Some(guest) = Guest::of(&addresses, peer.ip()) else { continue };
                let spoken = Arc::new(Notify::new());
                let connection = connection(stream, peer, guest, Arc::clone(&spoken), router.clone());
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    // Dropped when the connection ends, whichever branch ends it.
                    let _slot = slot;
                    tokio::select! {
                        // Errors that end a connection are the client's doing, and no client is left to
                        // report them to.
                        _ = connection => {}
                        () = silence(&spoken, bounds.first_headers) => {}
                    }
                });
            }
            // Mostly a lack of file descriptors, which passes when other connections end.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    // An export whose reader has stopped must not keep the server running for ever.
    let _ = timeout(END_TIMEOUT, graceful.shutdown()).await;
}

/// Resolves if a client sends no request in time; never resolves after a request.
async fn silence(spoken: &Notify, first_headers: Duration) {
    if timeout(first_headers, spoken.notified()).await.is_ok() {
        pending::<()>().await;
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    guest: Guest,
    spoken: Arc<Notify>,
    router: Router,
) -> http1::Connection<
    TokioIo<Stalling<TcpStream>>,
    impl hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>,
> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        spoken.notify_one();
        request.extensions_mut().insert(ConnectInfo(peer));
        // Handlers find the guest here, and stop its counting once the edge has shown its secret.
        request.extensions_mut().insert(guest.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // This timeout also bounds idle connections.
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADERS_MAX_BYTES)
        .serve_connection(TokioIo::new(Stalling::new(stream, WRITE_TIMEOUT)), service)
}

/// The number of connections by address.
#[derive(Debug, Default)]
struct Addresses {
    /// The bound for each address.
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts for its address until it ends, or until it proves to be the edge's.
#[derive(Clone, Debug)]
pub struct Guest(Arc<CountedConnection>);

#[derive(Debug)]
struct CountedConnection {
    addresses: Arc<Addresses>,
    /// `None` after the connection stopped counting.
    address: Mutex<Option<IpAddr>>,
}

impl Guest {
    /// Counts one more connection of an address; `None` if the address has reached its bound.
    fn of(addresses: &Arc<Addresses>, address: IpAddr) -> Option<Self> {
        let address = network(address);
        let mut counts = addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= addresses.most {
            return None;
        }
        *count += 1;
        let addresses = Arc::clone(addresses);
        Some(Self(Arc::new(CountedConnection { addresses, address: Mutex::new(Some(address)) })))
    }

    /// Stops counting: the edge has sent its secret, and may use all connections.
    pub fn is_known(&self) {
        self.0.end();
    }
}

impl CountedConnection {
    fn end(&self) {
        // `take` makes a second call harmless: `is_known` and `drop` may both end the same connection.
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(address) = address else { return };
        let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&address) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&address);
        }
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.end();
    }
}

/// The counted network: a household has 2^64 addresses of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let addresses = Arc::new(Addresses { most: 2, ..Addresses::default() });
        let guest = |address: &str| Guest::of(&addresses, address.parse().unwrap());
        let (one, two) = (guest("203.0.113.9").unwrap(), guest("203.0.113.9").unwrap());
        assert!(guest("203.0.113.9").is_none());
        assert!(guest("::ffff:203.0.113.9").is_none(), "the same address");
        let other = guest("203.0.113.10").unwrap();
        drop(one);
        let three = guest("203.0.113.9").unwrap();
        assert!(guest("203.0.113.9").is_none());
        // The edge's connections do not count.
        two.is_known();
        two.is_known();
        let four = guest("203.0.113.9").unwrap();
        assert!(guest("203.0.113.9").is_none());
        drop((two, three, four, other));
        assert!(addresses.counts.lock().unwrap().is_empty());
        let (_a, _b) = (guest("2001:db8::1").unwrap(), guest("2001:db8::2").unwrap());
        assert!(guest("2001:db8::3").is_none(), "one household");
        assert!(guest("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_connection_without_a_request_ends_and_one_with_a_request_stays() {
        use std::io::{Read as _, Write as _};

        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let to = listener.local_addr().unwrap();
        let router = Router::new().fallback(|| async { "ok" });
        let bounds = Bounds { per_address: 10, first_headers: Duration::from_millis(200) };
        runtime.spawn(serve(listener, router, bounds, pending()));
        let connect = || {
            let stream = std::net::TcpStream::connect(to).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
            stream
        };
        let (mut speaks, mut is_silent, mut dribbles) = (connect(), connect(), connect());
        speaks.write_all(REQUEST).unwrap();
        dribbles.write_all(&REQUEST[..20]).unwrap();
        let mut answer = [0; 1_024];
        assert!(speaks.read(&mut answer).unwrap() > 0);
        // Both end without an answer.
        assert_eq!(is_silent.read(&mut answer).unwrap(), 0);
        assert_eq!(dribbles.read(&mut answer).unwrap(), 0);
        // The first connection's bound is unaffected: it is served again.
        speaks.write_all(REQUEST).unwrap();
        assert!(speaks.read(&mut answer).unwrap() > 0);
    }
}
