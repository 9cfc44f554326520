//! Signs: what an answer tells about the upstream itself, and so which circuits it may open (docs/adr/0025).

use super::{
    lane::Sign,
    received::{Written, is_well, json_value},
};
use crate::{
    api::retry_after,
    instant::UnixSecs,
    ports::{UpstreamAnswer, UpstreamError},
};

/// For how many seconds the upstream itself asks to be left alone, if it does: by 429, or by 503 in JSON with
/// `Retry-After`. A server in front of it answers 503 with a page, or without that header, when the upstream is down.
pub fn asks_to_wait(answer: &UpstreamAnswer, now: UnixSecs) -> Option<u64> {
    let secs = retry_after::seconds(answer.header("retry-after"), now);
    match answer.status {
        429 => Some(secs.unwrap_or(1)),
        503 if json_value(answer).is_ok() => secs,
        _ => None,
    }
}

/// What the answer to a read tells about the upstream.
pub fn sign_of_read(answer: &Result<UpstreamAnswer, UpstreamError>, now: UnixSecs) -> Sign {
    let Ok(answer) = answer else { return Sign::Failed };
    if let Some(secs) = asks_to_wait(answer, now) {
        return Sign::Wait(secs);
    }
    match answer.status {
        _ if is_well(answer) => Sign::Well,
        // A firewall refuses what looks like an attack.
        400..=499 => Sign::Nothing,
        _ => Sign::Failed,
    }
}

/// What the outcome of a write or a sign-in tells about the upstream. `is_whole` is whether the edge had the whole body
/// before it sent anything: otherwise the client may have broken it off.
pub fn sign_of_write(
    outcome: &Result<(UpstreamAnswer, Written), UpstreamError>,
    is_whole: bool,
    now: UnixSecs,
) -> Sign {
    let (answer, written) = match outcome {
        Err(_) if !is_whole => return Sign::Nothing,
        Err(_) => return Sign::Failed,
        Ok(answered) => answered,
    };
    match (answer.status, written) {
        // Any client can provoke these: by a request that looks like an attack to a firewall, or by asking too often.
        (_, Written::Refused(..) | Written::Blocked(_)) => Sign::Nothing,
        _ if asks_to_wait(answer, now).is_some() => Sign::Nothing,
        // Something answered in whole, though not as the API does.
        (200..=399, Written::Unusable(_)) => Sign::Nothing,
        (502..=504, _) | (_, Written::Unusable(_)) => Sign::Failed,
        (_, Written::Own(_)) => Sign::Well,
    }
}

/// What the outcome of a request that was passed through tells about the part of the upstream that its prefix names.
/// `is_whole` is as for [`sign_of_write`].
pub fn sign_of_pass(answer: &Result<UpstreamAnswer, UpstreamError>, is_whole: bool, now: UnixSecs) -> Sign {
    let answer = match answer {
        Err(_) if !is_whole => return Sign::Nothing,
        Err(_) => return Sign::Failed,
        Ok(answer) => answer,
    };
    match answer.status {
        _ if asks_to_wait(answer, now).is_some() => Sign::Nothing,
        200..=399 => Sign::Well,
        502..=504 | 520..=530 => Sign::Failed,
        // An application's own error shows that it works; a page may be a firewall's, or a server's without its application.
        _ if json_value(answer).is_ok() => Sign::Well,
        400..=499 => Sign::Nothing,
        _ => Sign::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::upstream::received::written;

    const NOW: UnixSecs = 1_800_000_000;

    fn answer(status: u16, content_type: &str, retry_after: &str, body: &str) -> UpstreamAnswer {
        let headers = [("content-type", content_type), ("retry-after", retry_after)];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| (name, value.to_owned())).collect();
        UpstreamAnswer { status, headers, body: body.as_bytes().to_vec() }
    }

    /// Each status, as the upstream itself gives it and as a server in front of it does: what it tells after a read, a
    /// merchant's write, and a sign-in.
    #[test]
    fn every_status() {
        const JSON: &str = "application/json";
        const BODY: &str = r#"{"code":1,"message":"m","errors":{"1":"m"}}"#;
        use Sign::{Failed, Nothing, Wait, Well};
        for (status, content_type, retry_after, body, read, write, sign_in) in [
            (200, JSON, "", BODY, Well, Well, Well),
            (204, "", "", "", Well, Well, Well),
            (200, "text/html", "", "<html>", Failed, Nothing, Nothing),
            (302, "", "", "", Failed, Nothing, Nothing),
            (303, "", "", "", Failed, Nothing, Nothing),
            (400, JSON, "", BODY, Well, Well, Well),
            (401, JSON, "", BODY, Well, Well, Well),
            (401, "text/html", "", "<html>", Nothing, Nothing, Nothing),
            (402, JSON, "", BODY, Well, Well, Well),
            (403, "text/html", "", "<html>", Nothing, Nothing, Nothing),
            (404, JSON, "", BODY, Well, Well, Well),
            (407, "", "", "", Nothing, Nothing, Nothing),
            (422, JSON, "", BODY, Well, Well, Well),
            (429, JSON, "7", BODY, Wait(7), Nothing, Nothing),
            (429, "", "", "", Wait(1), Nothing, Nothing),
            (429, "text/html", "9", "<html>", Wait(9), Nothing, Nothing),
            (500, JSON, "", BODY, Failed, Well, Well),
            (500, "text/html", "", "<html>", Failed, Failed, Failed),
            (502, JSON, "", BODY, Failed, Failed, Failed),
            (503, JSON, "30", BODY, Wait(30), Nothing, Nothing),
            (503, JSON, "", BODY, Failed, Failed, Failed),
            (503, JSON, "soon", BODY, Failed, Failed, Failed),
            (503, "text/html", "30", "<html>", Failed, Failed, Failed),
            (504, "", "", "", Failed, Failed, Failed),
            (521, "text/html", "", "<html>", Failed, Failed, Failed),
        ] {
            let given = answer(status, content_type, retry_after, body);
            let shown = format!("{status} {content_type:?} {retry_after:?}");
            assert_eq!(sign_of_read(&Ok(given.clone()), NOW), read, "{shown}");
            for (is_signed, expected) in [(true, write), (false, sign_in)] {
                let outcome = Ok((given.clone(), written(&given, is_signed)));
                assert_eq!(sign_of_write(&outcome, true, NOW), expected, "{shown} {is_signed}");
            }
        }
        for error in [UpstreamError::TimedOut, UpstreamError::TooLarge, UpstreamError::Broken(String::new())]
        {
            assert_eq!(sign_of_read(&Err(error.clone()), NOW), Failed);
            assert_eq!(sign_of_write(&Err(error.clone()), true, NOW), Failed);
            assert_eq!(sign_of_write(&Err(error), false, NOW), Nothing, "the client may have broken it off");
        }
    }
}
