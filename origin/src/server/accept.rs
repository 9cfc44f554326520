//! Connections: how many, and how long each may take.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc};

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
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, END_TIMEOUT, HEADERS_TIMEOUT};

/// Serves connections until `end` is over, then finishes what is being answered.
pub async fn serve(listener: TcpListener, router: Router, end: impl Future<Output = ()>) {
    let (graceful, slots) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut end = pin!(end);
    loop {
        // Whoever comes when all are taken waits in the system's queue.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = graceful.watch(connection(stream, peer, router.clone()));
                tokio::spawn(async move {
                    let _slot = slot;
                    // What breaks a connection off is the client's doing; there is nobody to tell.
                    let _ = connection.await;
                });
            }
            // Out of file descriptors, mostly: it passes when others have been answered.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    // A reader that takes no more of its export must not keep the server for ever.
    let _ = timeout(END_TIMEOUT, graceful.shutdown()).await;
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>,
> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // Also how long an idle connection is kept.
        .header_read_timeout(HEADERS_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
}
