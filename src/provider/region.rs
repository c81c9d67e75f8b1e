//! In which region a call is served, told by the host and the path that it goes to.
//!
//! Only where prices go by region is looked. Vertex calls its endpoint that is in none `global`.

use super::route::{decoded, segments};

/// The region of the endpoint of `provider` behind `authority` and `path`, where they tell one.
#[must_use]
pub fn region_at(provider: &str, authority: &str, path: &str) -> Option<String> {
    let host = authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let region = match provider {
        "openai" => host.strip_suffix(".api.openai.com"),
        "vertex" | "google" => match in_path(path) {
            Some(region) => return Some(region).filter(|name| is_region(name)),
            None => in_google_host(host),
        },
        "bedrock" | "aws" => {
            let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock"));
            labels.nth(1)
        }
        _ => None,
    };
    region.map(str::to_ascii_lowercase).filter(|name| is_region(name))
}

/// Whether `name` can be the name of a region.
#[must_use]
pub fn is_region(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_REGION).contains(&name.len()) && name.bytes().all(legal)
}

/// `…/projects/{project}/locations/{region}/…`, read as leniently as the call itself is: what Google
/// takes for a region must not pass for none here.
fn in_path(path: &str) -> Option<String> {
    let path = decoded(path.split(['?', '#']).next()?).to_ascii_lowercase();
    segments(&path).windows(4).find_map(|names| match names {
        ["projects", _, "locations", region] => Some((*region).to_owned()),
        _ => None,
    })
}

/// `{region}-aiplatform.googleapis.com` and `aiplatform.{region}.rep.googleapis.com`.
fn in_google_host(host: &str) -> Option<&str> {
    let inside = || host.strip_prefix("aiplatform.")?.strip_suffix(".rep.googleapis.com");
    host.strip_suffix("-aiplatform.googleapis.com").or_else(inside)
}

/// Bytes of a region's name, such as `northamerica-northeast1`.
const MAX_REGION: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_tell_the_region() {
        const MODEL: &str = "publishers/anthropic/models/claude-opus-5:rawPredict";
        let vertex = |at: &str| format!("/v1/projects/p/locations/{at}/{MODEL}");
        #[rustfmt::skip]
        let cases = [
            ("openai",  "api.openai.com",                           "/v1/responses".to_owned(), None),
            ("openai",  "eu.api.openai.com",                        "/v1/responses".to_owned(), Some("eu")),
            ("openai",  "US.api.openai.com:443",                    "/v1/responses".to_owned(), Some("us")),
            ("openai",  "llm.internal",                             "/v1/responses".to_owned(), None),
            ("openai",  "a.b.api.openai.com",                       "/v1/responses".to_owned(), None),
            ("azure",   "eu.openai.azure.com",                      "/v1/responses".to_owned(), None),
            ("vertex",  "aiplatform.googleapis.com",                vertex("global"),           Some("global")),
            ("vertex",  "us-east5-aiplatform.googleapis.com",       vertex("us-east5"),         Some("us-east5")),
            ("vertex",  "us-east5-aiplatform.googleapis.com",       "/v1/m:generateContent".to_owned(), Some("us-east5")),
            ("vertex",  "aiplatform.eu.rep.googleapis.com",         "/v1/m:generateContent".to_owned(), Some("eu")),
            ("google",  "llm.internal",                             vertex("europe-west1"),     Some("europe-west1")),
            ("google",  "generativelanguage.googleapis.com",        "/v1/models/m:generateContent".to_owned(), None),
            ("vertex",  "aiplatform.googleapis.com",                vertex("Über-west1"),       None),
            ("vertex",  "aiplatform.googleapis.com",                vertex("us%2Deast5"),       Some("us-east5")),
            ("vertex",  "aiplatform.googleapis.com",                vertex("x").replace("locations/x", "%6cocations//us-east5"), Some("us-east5")),
            ("vertex",  "aiplatform.googleapis.com",                vertex("global/../us-east5"), Some("us-east5")),
            ("vertex",  "aiplatform.googleapis.com",                vertex("eu").replace("/p/", "/locations/"), Some("eu")),
            ("bedrock", "bedrock-runtime.eu-west-2.amazonaws.com",  "/model/m/converse".to_owned(), Some("eu-west-2")),
            ("bedrock", "bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "/model/m/converse".to_owned(), Some("us-gov-west-1")),
            ("bedrock", "vpce-1-2.bedrock-runtime.us-east-1.vpce.amazonaws.com", "/".to_owned(), Some("us-east-1")),
            ("bedrock", "bedrock-mantle.us-west-2.api.aws",         "/v1/messages".to_owned(),  Some("us-west-2")),
            ("bedrock", "llm.internal",                             "/model/m/converse".to_owned(), None),
        ];
        for (provider, host, path, region) in cases {
            assert_eq!(region_at(provider, host, &path).as_deref(), region, "{host}{path}");
        }
    }
}
