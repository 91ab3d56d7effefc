//! What differs from what an entry expects. It is told together.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use entrada::domain::event::EventName;
use serde_json::Value;
use url::Url;

use crate::attacks::entry::Afterwards;
use crate::attacks::entry::Step;
use crate::attacks::stage::Actor;
use crate::attacks::stage::Stage;
use crate::attacks::wire;
use crate::support::counted::writes;
use crate::support::entrada::Answer;
use crate::support::entrada::Entrada;
use crate::support::entrada::parameter;

#[derive(Default)]
pub struct Verdict {
    pub differs: Vec<String>,
    /// Which step it is about.
    pub about: String,
}

/// What had happened when the attack began.
pub struct Before {
    provider_asked: usize,
    events: Vec<usize>,
}

impl Before {
    pub fn of(stage: &Stage) -> Self {
        Self { provider_asked: stage.entrada.idp.requests().len(), events: events(stage) }
    }
}

fn events(stage: &Stage) -> Vec<usize> {
    EventName::ALL.map(|event| stage.entrada.events.count(event)).to_vec()
}

impl Verdict {
    fn differs(&mut self, what: impl std::fmt::Display) {
        self.differs.push(format!("{}: {what}", self.about));
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: T, is: T) {
        if expected != is {
            self.differs(format!("{what}: expected {expected:?}, it is {is:?}"));
        }
    }

    /// Judges an answer, whole.
    pub fn answer(&mut self, stage: &Stage, step: &Step, answer: &Answer, reason: Option<&str>) {
        let filled = |text: &String| wire::filled(text, &mut |name| stage.value(name));
        if step.status != answer.status.as_u16() {
            self.differs(format!("expected {}, it is {answer:?}", step.status));
        }
        if let Some(error) = &step.error {
            self.equal("error", error.clone(), error_of(answer));
        }
        if step.reason.is_some() {
            self.equal("reason", step.reason.as_deref(), reason);
        }
        let expected = step.location.as_ref().map(filled).unwrap_or_default();
        self.equal("location", expected, redirect(&stage.entrada, answer));
        let location = answer.header("location");
        for text in step.location_has_not.iter().filter(|text| location.contains(text.as_str())) {
            self.differs(format!("{text:?} is in {location}"));
        }
        for (name, value) in &step.headers {
            let held: Vec<&str> =
                answer.headers.get_all(name).iter().filter_map(|held| held.to_str().ok()).collect();
            self.equal(name, filled(value), held.join(" | "));
        }
        for name in step.no_headers.iter().filter(|name| answer.headers.contains_key(name.as_str())) {
            self.differs(format!("{name} is there: {:?}", answer.headers.get(name)));
        }
        let policy = answer.header("content-security-policy");
        for text in step.policy_has.iter().filter(|text| !policy.contains(text.as_str())) {
            self.differs(format!("the policy has no {text:?}: {policy}"));
        }
        for text in step.says.iter().map(filled).filter(|text| !answer.body.contains(text.as_str())) {
            self.differs(format!("it does not say {text:?}: {}", answer.body));
        }
        for text in step.says_not.iter().map(filled).filter(|text| answer.body.contains(text.as_str())) {
            self.differs(format!("it says {text:?}: {}", answer.body));
        }
    }

    /// Judges what the attack left behind. Nothing is asked for this.
    pub fn happened(&mut self, stage: &Stage, expected: &Afterwards, before: &Before) {
        let arrived = stage.mcp_server.arrived();
        let provider_asked = stage.entrada.idp.requests().len() - before.provider_asked;
        for (what, expected, is) in [
            ("writes of the store", expected.store_writes, writes(&stage.store.take())),
            ("requests to the provider", expected.provider_asked, provider_asked),
            ("requests at the MCP server", expected.reaches_mcp_server, arrived.len()),
        ] {
            self.equal(what, expected.unwrap_or(is), is);
        }
        let last = arrived.last().map(|arrived| arrived.headers.clone()).unwrap_or_default();
        self.reached(&expected.mcp_server_gets, &expected.mcp_server_gets_not, &last);
        let happened: Vec<&str> = EventName::ALL
            .iter()
            .zip(events(stage).iter().zip(&before.events))
            .filter(|(_, (now, before))| now > before)
            .map(|(event, _)| event.as_str())
            .collect();
        for event in expected.audited.iter().chain(&expected.not_audited) {
            assert!(EventName::ALL.iter().any(|known| known.as_str() == event), "no event is called {event}");
        }
        for event in expected.audited.iter().filter(|event| !happened.contains(&event.as_str())) {
            self.differs(format!("{event} was not audited, but {happened:?}"));
        }
        for event in expected.not_audited.iter().filter(|event| happened.contains(&event.as_str())) {
            self.differs(format!("{event} was audited"));
        }
    }

    fn reached(&mut self, gets: &BTreeMap<String, String>, gets_not: &[String], headers: &HeaderMap) {
        if headers.is_empty() && !(gets.is_empty() && gets_not.is_empty()) {
            self.differs("nothing reached the MCP server");
        }
        for (name, value) in gets {
            let held = headers.get(name).and_then(|held| held.to_str().ok()).unwrap_or_default();
            if !held.contains(value.as_str()) {
                self.differs(format!("the MCP server gets {name}: {held:?}, without {value:?}"));
            }
        }
        for name in gets_not.iter().filter(|name| headers.contains_key(name.as_str())) {
            self.differs(format!("the MCP server gets {name}"));
        }
    }

    /// Judges what people still can, by having them do it.
    pub async fn still(&mut self, stage: &mut Stage, expected: &Afterwards) {
        let values = stage.values.clone();
        let Stage { entrada, victim, attacker, .. } = stage;
        if let Some(opens) = expected.victims_token_opens {
            let bearer = format!("Bearer {}", values["victim.access_token"]);
            let request =
                Request::post("/mcp").header("authorization", bearer).body(Body::from("{}")).unwrap();
            self.equal("the victim's token opens", opens, entrada.send(request).await.status == 200);
        }
        for (actor, expected) in
            [(&*victim, expected.victim_still_signed_in), (&*attacker, expected.attacker_still_signed_in)]
        {
            if let Some(still) = expected {
                let token = &values[&format!("{}.refresh_token", actor.name())];
                self.equal(
                    &format!("the {} is signed in", actor.name()),
                    still,
                    refreshes(entrada, actor, token).await,
                );
            }
        }
        if let Some(good) = expected.victims_code_is_good {
            let redeemed = victim.client.redeem(entrada, &values["victim.code"]).await;
            self.equal("the victim's code is good", good, redeemed.status == 200);
        }
        if let Some(goes_on) = expected.victims_login_goes_on {
            let back = victim.browser.open(entrada, &values["victim.callback"]).await;
            self.equal("the victim's login goes on", goes_on, back.header("location").contains("code=edac_"));
        }
    }
}

async fn refreshes(entrada: &Entrada, actor: &Actor, token: &str) -> bool {
    actor.client.refresh(entrada, token).await.status == 200
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn error_of(answer: &Answer) -> String {
    match answer.header("location") {
        "" => serde_json::from_str(&answer.body).map(|body: Value| text(&body["error"])).unwrap_or_default(),
        location => Url::parse(location).ok().and_then(|url| parameter(&url, "error")).unwrap_or_default(),
    }
}

/// Where a browser goes from here, by whatever header: `provider`, or the address without what is ours to word.
fn redirect(entrada: &Entrada, answer: &Answer) -> String {
    let refresh = answer.header("refresh").split_once("url=").map_or("", |(_, url)| url);
    let location = if answer.header("location").is_empty() { refresh } else { answer.header("location") };
    if location.starts_with(&format!("{}/", entrada.idp.authority())) {
        return "provider".to_owned();
    }
    let Some((address, query)) = location.split_once('?') else { return location.to_owned() };
    let told = query.split('&').filter(|pair| !pair.starts_with("error_description="));
    let told: Vec<&str> =
        told.map(|pair| if pair.starts_with("code=edac_") { "code=*" } else { pair }).collect();
    format!("{address}?{}", told.join("&"))
}
