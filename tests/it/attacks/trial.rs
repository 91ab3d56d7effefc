//! Sends what an entry says, and has all of it judged before it fails.

use std::collections::BTreeSet;

use entrada::domain::event::EventName;

use crate::attacks::entry::Attack;
use crate::attacks::entry::Step;
use crate::attacks::stage::Stage;
use crate::attacks::verdict::Before;
use crate::attacks::verdict::Verdict;
use crate::attacks::wire;
use crate::support::browser::hidden;
use crate::support::entrada::Answer;
use crate::support::entrada::parameter;

pub async fn run(attack: &Attack) {
    let mut stage = Stage::set(&attack.setting).await;
    let mut elsewhere = None;
    let wanted = wanted(attack);
    if wanted.iter().any(|name| name.starts_with("elsewhere.")) {
        let mut there = Stage::set(&attack.setting).await;
        stage.prepare_elsewhere(&mut there, &wanted).await;
        elsewhere = Some(there);
    }
    stage.prepare(&wanted).await;
    if let Some(what) = attack.setting.blocked {
        stage.block(what).await;
    }
    let before = Before::of(&stage);
    let mut verdict = Verdict::default();
    for each in attack.each.iter().map(Some).chain(attack.each.is_empty().then_some(None)) {
        if let Some(each) = each {
            let each = wire::filled(each, &mut |name| stage.value(name));
            stage.values.insert("each".to_owned(), each);
        }
        for (number, step) in attack.step.iter().enumerate() {
            let (answer, reason) = send(&mut stage, step).await;
            let with = each.map(|each| format!(" with {each:?}")).unwrap_or_default();
            verdict.about = format!("step {}{with}", number + 1);
            verdict.answer(&stage, step, &answer, reason);
            keep(&mut stage, step, &answer);
        }
    }
    verdict.about = "afterwards".to_owned();
    verdict.happened(&stage, &attack.afterwards, &before);
    verdict.still(&mut stage, &attack.afterwards).await;
    let Attack { name, tries, source, .. } = attack;
    assert!(
        verdict.differs.is_empty(),
        "{name} ({}): {tries}\n{}",
        source.join(", "),
        verdict.differs.join("\n")
    );
    drop(elsewhere);
}

/// The values that an entry names, and those that it is judged by.
fn wanted(attack: &Attack) -> BTreeSet<String> {
    let texts = attack.step.iter().flat_map(|step| {
        let told = step.location.iter().chain(step.headers.values()).chain(&step.says).chain(&step.says_not);
        told.chain([&step.request])
    });
    let mut wanted: BTreeSet<String> = texts
        .chain(&attack.each)
        .flat_map(|text| wire::names(text))
        .filter(|name| name.contains('.'))
        .collect();
    wanted.extend(attack.needs.iter().cloned());
    let afterwards = &attack.afterwards;
    for (judged, value) in [
        (afterwards.victim_still_signed_in, "victim.refresh_token"),
        (afterwards.victims_token_opens, "victim.access_token"),
        (afterwards.victims_code_is_good, "victim.code"),
        (afterwards.victims_login_goes_on, "victim.callback"),
        (afterwards.attacker_still_signed_in, "attacker.refresh_token"),
    ] {
        wanted.extend(judged.map(|_| value.to_owned()));
    }
    wanted
}

/// The answer, and the reason of a refusal as the log has it.
async fn send(stage: &mut Stage, step: &Step) -> (Answer, Option<&'static str>) {
    stage.entrada.advance(step.later);
    if let Some(spoken) = &step.mcp_server_answers {
        let filled = |text: &String| wire::filled(text, &mut |name| stage.value(name));
        let headers: Vec<(&String, String)> =
            spoken.headers.iter().map(|(name, value)| (name, filled(value))).collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        stage.mcp_server.answers(spoken.status, &headers);
    }
    let request = wire::request(&step.request, &mut |name| stage.value(name));
    let refused = stage.entrada.events.reasons(EventName::RequestRefused).len();
    let answer = match step.browser {
        Some(who) => {
            let mut browser = std::mem::take(&mut stage.actor(who).browser);
            let answer = browser.send(&stage.entrada, request).await;
            stage.actor(who).browser = browser;
            answer
        }
        None if step.at_another_replica => stage.entrada.send_to(&stage.replica, request).await,
        None => stage.entrada.send(request).await,
    };
    let reason = stage.entrada.events.reasons(EventName::RequestRefused).get(refused).copied();
    (answer, reason)
}

fn keep(stage: &mut Stage, step: &Step, answer: &Answer) {
    for (name, place) in &step.keep {
        let (kind, what) = place.split_once(' ').unwrap_or_else(|| panic!("{name}: kept from where?"));
        let found = match kind {
            "header" => Some(answer.header(what).to_owned()),
            "json" => answer.json()[what].as_str().map(str::to_owned),
            "hidden" => hidden(&answer.body, what),
            "location" => parameter(&answer.location(), what),
            _ => panic!("{name}: kept from {kind}?"),
        };
        stage.values.insert(name.clone(), found.unwrap_or_else(|| panic!("no {place}: {answer:?}")));
    }
}
