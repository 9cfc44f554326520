//! Requests to an origin, and its answers.

use serde_json::{Value, json};

/// A request in the making.
pub struct Ask<'a> {
    method: &'a str,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl<'a> Ask<'a> {
    pub fn new(method: &'a str, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.header("authorization", &value)
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// A body without a content type, unless a header says otherwise.
    pub fn bytes(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn form(self, form: &str) -> Self {
        if form.is_empty() { self } else { self.body("application/x-www-form-urlencoded", form) }
    }

    pub fn json(self, json: &Value) -> Self {
        self.body("application/json", json.to_string())
    }

    pub fn send(self) -> Response {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let mut request = ureq::http::Request::builder().method(self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = if self.body.is_empty() {
            agent.run(request.body(()).unwrap()).unwrap()
        } else {
            agent.run(request.body(self.body).unwrap()).unwrap()
        };
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        Response { status: response.status().as_u16(), headers, text }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub fn seq(&self) -> u64 {
        self.header("entitlement-seq").unwrap().parse().unwrap()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Expects an error in the format of the API, with this message.
    #[track_caller]
    pub fn refused(self, status: u16, message: &str) -> Self {
        let answer = self.expect(status);
        let json = answer.json();
        assert_eq!((&json["code"], &json["message"]), (&json!(status), &json!(message)));
        let errors = json["errors"].as_object().unwrap();
        assert!(!errors.is_empty() && errors.values().all(Value::is_string), "{errors:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        answer
    }

    /// Expects a 422 that names exactly these fields.
    #[track_caller]
    pub fn invalid(self, fields: &[&str]) -> Self {
        let answer = self.expect(422);
        let json = answer.json();
        let named: Vec<_> = json["errors"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, fields, "{}", answer.text);
        answer
    }

    pub fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
