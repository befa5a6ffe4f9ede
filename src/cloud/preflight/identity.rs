//! Who we are, how long that holds, and whether the vault says that drills may be held here.

use std::time::Duration;

use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use jiff::Timestamp;

use super::sight::{Sight, ask};
use crate::cloud::client::{Clients, Life};
use crate::cloud::fault::Fault;
use crate::document::drill::aws::AwsScratch;
use crate::shell::clean;

/// Whether the credentials last as long as the drill may.
pub fn credentials(life: Life, rto: Option<Duration>, now: Timestamp, sight: &mut Sight) {
    let name = "the credentials last for the whole objective";
    let ends = match life {
        Life::Endless => return sight.check(name, true, "they are a user's own, and do not end"),
        Life::NotKnown => {
            let why = "they are a session's, and nothing says when it ends";
            return sight.assume(name, why);
        }
        Life::Renewed(ends) | Life::Until(ends) => ends,
    };
    let left = u64::try_from(ends.as_second() - now.as_second()).unwrap_or(0);
    if left == 0 {
        return sight.check(name, false, format!("they ended at {ends}: renew them"));
    }
    let minutes = left / 60;
    match rto {
        None => {
            let text = format!("they end at {ends}, and the drill has no RTO to compare with");
            sight.assume(name, text);
        }
        Some(rto) if left >= rto.as_secs() => {
            let text = format!("they end at {ends}, {minutes} minutes from now");
            sight.check(name, true, text);
        }
        Some(_) if matches!(life, Life::Renewed(_)) => {
            let text = format!(
                "they end at {ends}, {minutes} minutes from now, and their source is asked for new \
                 ones"
            );
            sight.assume(name, text);
        }
        Some(rto) => {
            let text = format!(
                "they end at {ends}, {minutes} minutes from now, and the objective is {} minutes: \
                 renew them, or take a role with longer sessions",
                rto.as_secs() / 60
            );
            sight.check(name, false, text);
        }
    }
}

async fn who(clients: &Clients) -> Result<GetCallerIdentityOutput, Fault> {
    let what = "asking who we are";
    ask(clients, what, || {
        let request = clients.sts.get_caller_identity();
        async { request.send().await.map_err(|e| Fault::of(what, e)) }
    })
    .await
}

/// Whether the credentials are of the document's account, and in words whose they are.
fn compare(answer: &GetCallerIdentityOutput, scratch: &AwsScratch) -> (bool, String) {
    let seen = answer.account().unwrap_or("(none)");
    let who = clean(answer.arn().unwrap_or_default(), 200);
    match seen == scratch.account {
        true => (true, format!("{seen}, as {who}")),
        false => (
            false,
            format!(
                "these credentials are of {}, as {who}, and the drill is for {}",
                clean(seen, 20),
                clean(&scratch.account, 20)
            ),
        ),
    }
}

/// # Errors
/// Where it is not the document's account, or that cannot be asked.
pub async fn is_own(clients: &Clients, scratch: &AwsScratch) -> Result<(), Fault> {
    match compare(&who(clients).await?, scratch) {
        (true, _) => Ok(()),
        (false, why) => Err(Fault::ours("asking who we are", &why)),
    }
}

/// Whether it is the document's account. `false`: nothing more is to be asked there.
pub async fn account(clients: &Clients, scratch: &AwsScratch, sight: &mut Sight) -> bool {
    let name = "the account is the one that the drill names";
    // Who it is must be known: no permission is needed to ask.
    let (met, detail) = match who(clients).await {
        Ok(answer) => compare(&answer, scratch),
        Err(fault) => (false, fault.to_string()),
    };
    sight.check(name, met, detail);
    met
}

/// The vault, its key and its marker.
pub async fn vault(clients: &Clients, scratch: &AwsScratch, sight: &mut Sight) {
    let shown = clean(&scratch.vault, 80);
    let name = format!("the vault {shown} is there, and encrypted");
    let what = format!("looking at the vault {shown}");
    let asked = ask(clients, &what, || {
        let request = clients.backup.describe_backup_vault();
        let request = request.backup_vault_name(&scratch.vault);
        async { request.send().await.map_err(|e| Fault::of(&what, e)) }
    })
    .await;
    let arn = match asked {
        Ok(vault) => {
            let key = vault.encryption_key_arn();
            sight.check(
                &name,
                key.is_some(),
                match key {
                    Some(key) => format!(
                        "{} recovery points, encrypted with {}{}",
                        vault.number_of_recovery_points(),
                        clean(key, 150),
                        if vault.locked() == Some(true) {
                            ", locked"
                        } else {
                            ""
                        }
                    ),
                    None => "it names no key".to_owned(),
                },
            );
            vault.backup_vault_arn().map(str::to_owned)
        }
        Err(fault) => return sight.check(&name, false, fault.to_string()),
    };
    let marker = &scratch.marker;
    let name = format!(
        "the vault bears the tag {}={}",
        clean(&marker.key, 80),
        clean(&marker.value, 80)
    );
    let Some(arn) = arn else {
        return sight.check(
            &name,
            false,
            "the vault's ARN is not said, so its tags cannot be read",
        );
    };
    let what = format!("reading the tags of the vault {shown}");
    let mut value = None;
    let mut token: Option<String> = None;
    // A resource has 50 tags at most.
    for _ in 0..10 {
        let asked = ask(clients, &what, || {
            let request = clients.backup.list_tags().resource_arn(&arn);
            let request = request.set_next_token(token.clone());
            async { request.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await;
        let page = match asked {
            Ok(page) => page,
            // Without it nobody has said that drills may be held here.
            Err(fault) => return sight.check(&name, false, fault.to_string()),
        };
        if let Some(seen) = page.tags().and_then(|tags| tags.get(&marker.key)) {
            value = Some(seen.clone());
        }
        token = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if value.is_some() || token.is_none() {
            break;
        }
    }
    let met = value.as_deref() == Some(marker.value.as_str());
    sight.check(
        &name,
        met,
        match &value {
            Some(_) if met => "it does".to_owned(),
            Some(seen) => format!("its value is {}", clean(seen, 80)),
            None => "it does not: put it there if drills may be held in this account".to_owned(),
        },
    );
}
