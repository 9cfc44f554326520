//! The Worker: the only place that names `worker::`, `web_sys` or `js_sys`. It turns requests into what the
//! service reads, replies into responses, and bindings into ports; it decides nothing.

mod body;
mod fetch;
mod hash;
mod hot;
mod kv;
mod lane;
mod limits;
mod platform;
mod request;
mod response;
mod signer;
mod verifier;

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{Response, ResponseInit};
use worker::{Context, Env, event};

use crate::{
    api::reply::Request,
    app::{self, Answered, App, Event},
    config::{Config, ConfigError},
};
pub use hash::NodeHash;
use platform::WorkerPlatform;
use request::Incoming;

/// The service of this isolate.
type Service = App<WorkerPlatform>;

thread_local! {
    /// Made at the first request, because bindings come with requests; kept, whatever it was: a wrong
    /// configuration does not mend itself.
    static SERVICE: RefCell<Option<Result<Rc<Service>, ConfigError>>> = const { RefCell::new(None) };
}

/// Every request that `hot` does not answer: the first of an instance, above all. It fails by an answer of its own:
/// workers-rs' would bring code for every error of every product along.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<Response, Infallible> {
    Ok(answered(request, env, context).await.unwrap_or_else(|error| {
        worker::console_error!("{}", platform::shown(&error));
        let init = ResponseInit::new();
        init.set_status(500);
        let failed = Response::new_with_opt_str_and_init(Some("INTERNAL SERVER ERROR"), &init);
        failed.unwrap_or_else(|_| Response::error())
    }))
}

async fn answered(request: web_sys::Request, env: Env, context: Context) -> Result<Response, JsValue> {
    let service = match service(&env) {
        Ok(service) => service,
        Err(error) => {
            worker::console_error!("{}", Event::Configuration { error: &error });
            let method = request.method();
            let passed = request::preflight_headers(&request);
            let asked = Request { method: &method, passed: &passed, ..Request::default() };
            return response::from_reply(&app::unconfigured(&asked), method == "HEAD");
        }
    };
    let mut incoming = Incoming::new(&request, service.config());
    // Most checks need no I/O: they are answered without a promise of their own.
    let pending = match service.answer(&incoming.view()) {
        Answered::Now(reply) => {
            refresh_behind(service, &context);
            return response::from_reply(&reply, incoming.is_head());
        }
        Answered::Later(pending) => pending,
    };
    let passes_through = pending.passes_through();
    if passes_through {
        incoming.read_passed();
    } else {
        incoming.read_trace(service.config());
    }
    let is_read = matches!(incoming.method.as_str(), "GET" | "HEAD") && !passes_through;
    let running = Rc::clone(&service);
    let answered = future_to_promise(async move {
        let reply = running.resume(&incoming.view(), pending, incoming.body()).await;
        Ok(response::from_reply(&reply, incoming.is_head())?.into())
    });
    if !is_read {
        // A change goes on when the client has gone: its outcome has to be logged.
        let outcome = JsFuture::from(answered.clone());
        context.wait_until(async move { drop(outcome.await) });
    }
    let answered = JsFuture::from(answered).await;
    refresh_behind(service, &context);
    answered.map(|response| response.unchecked_into())
}

/// Runs the refreshes that are due, behind the answer.
#[expect(clippy::needless_pass_by_value, reason = "the callers have no more use for it")]
fn refresh_behind(service: Rc<Service>, context: &Context) {
    while let Some(refresh) = service.begin_refresh() {
        let service = Rc::clone(&service);
        context.wait_until(async move { service.refresh(refresh).await });
    }
}

fn service(env: &Env) -> Result<Rc<Service>, ConfigError> {
    SERVICE.with_borrow_mut(|service| service.get_or_insert_with(|| make_service(env).map(Rc::new)).clone())
}

/// The service, if an earlier request made one.
fn service_made() -> Option<Rc<Service>> {
    SERVICE.with_borrow(|service| service.as_ref()?.as_ref().ok().cloned())
}

fn make_service(env: &Env) -> Result<Service, ConfigError> {
    let config = Config::parse(&|name| platform::text_binding(env, name))?;
    // Only then is the reason wanted outside the log.
    if js_sys::Reflect::has(env, &"ANALYTICS".into()).unwrap_or_default() {
        response::tell_reasons();
    }
    App::new(WorkerPlatform::new(env)?, config)
}
