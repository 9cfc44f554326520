//! The address: a thread of its own with few connections, so that a scraper that hangs costs the program nothing.

use std::{
    convert::Infallible,
    io,
    net::{self, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{
    Watched,
    page::{page, plain},
};

/// A scraper needs one, and people a few.
const CONNECTIONS_MAX: usize = 16;

/// The shortest buffer that hyper has. Scrapers send a few hundred bytes.
const HEADERS_MAX_BYTES: usize = 8 * 1024;

/// A scraper sends its request at once.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest life of a connection. Scrapers give up after 10 s.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// After a connection could not be accepted, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves metrics and health at `listen`, from a thread that lives as long as the process. Returns the address: port 0
/// takes a free one.
///
/// # Errors
/// The address cannot be listened on, or no thread can be started.
pub fn serve(listen: SocketAddr, watched: Arc<dyn Watched>) -> io::Result<SocketAddr> {
    let listener = net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        runtime.block_on(async move {
            // The listener is nonblocking, as it must be.
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(&listener, &watched).await;
            }
        });
    })?;
    Ok(address)
}

async fn accept(listener: &TcpListener, watched: &Arc<dyn Watched>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = connection(stream, Arc::clone(watched));
        tokio::spawn(async move {
            let _slot = slot;
            // Errors of a connection are the client's.
            let _ = timeout(CONNECTION_TIMEOUT, connection).await;
        });
    }
}

async fn connection(stream: TcpStream, watched: Arc<dyn Watched>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, watched.as_ref());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEADERS_MAX_BYTES)
        .keep_alive(false);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, watched: &dyn Watched) -> Response<Full<Bytes>> {
    let page = match *request.method() {
        Method::GET | Method::HEAD => page(watched, request.uri().path()),
        _ => plain(405, "expected GET"),
    };
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    response
}
