//! `node:crypto`, loaded when it is first needed: the module takes as long to load as everything else of ours that a
//! check under HS\* waits for at a cold start (docs/adr/0059).

use std::cell::OnceCell;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `process.getBuiltinModule`: gives a built-in module without an import statement, of which the glue
    /// that wasm-bindgen generates has none.
    #[wasm_bindgen(js_namespace = process, js_name = getBuiltinModule, catch)]
    fn get_builtin_module(name: &str) -> Result<JsValue, JsValue>;
}

thread_local! {
    static CRYPTO: OnceCell<JsValue> = const { OnceCell::new() };
}

/// Whether the runtime has Node's modules. This loads none.
pub(super) fn has_modules() -> bool {
    let member = |object: &JsValue, name: &str| js_sys::Reflect::get(object, &name.into()).ok();
    let process = member(&js_sys::global(), "process").filter(JsValue::is_object);
    process.and_then(|process| member(&process, "getBuiltinModule")).is_some_and(|it| it.is_function())
}

/// Whether `node:crypto` is loaded.
pub(super) fn is_loaded() -> bool {
    CRYPTO.with(|crypto| crypto.get().is_some())
}

/// The module `node:crypto`, as a type that has its functions. `None` if the runtime has no such module.
pub(super) fn crypto<T: JsCast>() -> Option<T> {
    CRYPTO.with(|crypto| {
        if crypto.get().is_none() {
            let module = get_builtin_module("node:crypto").ok().filter(JsValue::is_object)?;
            // It was empty.
            let _ = crypto.set(module);
        }
        crypto.get().cloned().map(JsCast::unchecked_into)
    })
}
