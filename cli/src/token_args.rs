//! Arguments for the tokens of the command's own calls to a Worker.

use std::path::PathBuf;

use admit_publish::bearer::Credentials;

/// How the command authenticates to a Worker.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TokenArgs {
    /// Bearer token with the scope snapshot:publish - snapshot:read where nothing is written - or @FILE: a file that is
    /// read at each call
    #[arg(long, value_name = "JWT", env = "ADMIT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Private JWK of an issuer that may publish, instead of --token: short tokens are signed with it, each before
    /// the last one ends
    #[arg(long, value_name = "FILE", env = "ADMIT_TOKEN_KEY", requires = "token_claims")]
    token_key: Option<PathBuf>,
    /// With --token-key, the claims as a JSON object: `iss`, and `aud` if the Worker asks for it. `sub` is "admit" and
    /// `scope` "snapshot:publish" unless they are given; `iat` and `exp` are added
    #[arg(long, value_name = "JSON", env = "ADMIT_TOKEN_CLAIMS")]
    token_claims: Option<String>,
    /// With --token-key, how long each token lives, in seconds
    #[arg(long, value_name = "SECS", default_value_t = 600, value_parser = clap::value_parser!(i64).range(2..=86_400))]
    token_ttl_secs: i64,
}

impl TokenArgs {
    /// The credentials that the arguments name.
    pub fn credentials(&self) -> Credentials {
        let Self { token, token_key, token_claims, token_ttl_secs } = self.clone();
        Credentials { token, key: token_key, claims: token_claims, ttl_secs: token_ttl_secs }
    }
}

/// [`TokenArgs`] for a command whose own `--token` has another meaning.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct BearerArgs {
    /// Bearer token for the Worker, with the scope snapshot:publish, or @FILE: a file that is read at each call
    #[arg(long, value_name = "JWT", env = "ADMIT_TOKEN", hide_env_values = true)]
    bearer: Option<String>,
    /// Private JWK of an issuer that may publish, instead of --bearer
    #[arg(long, value_name = "FILE", env = "ADMIT_TOKEN_KEY", requires = "bearer_claims")]
    token_key: Option<PathBuf>,
    /// With --token-key, the claims as a JSON object: `iss`, and `aud` if the Worker asks for it
    #[arg(long = "token-claims", value_name = "JSON", env = "ADMIT_TOKEN_CLAIMS")]
    bearer_claims: Option<String>,
}

impl BearerArgs {
    /// The credentials that the arguments name.
    pub fn credentials(&self) -> Credentials {
        let Self { bearer: token, token_key: key, bearer_claims: claims } = self.clone();
        Credentials { token, key, claims, ttl_secs: 600 }
    }
}
