//! A query on a restored database, by the psql of an instance of the drill.

use super::{Found, View, outcome, quoted};
use crate::cloud::provider::Inner;
use crate::cloud::remote::shell::Ran;
use crate::document::drill::aws::DatabaseLogin;
use crate::document::drill::{SqlProof, Step};
use crate::drill::proof::sql::{
    ARGUMENTS, VALUE, expected, is_not_there, judge, one_value, script,
};
use crate::model::drill::ProofOutcome;
use crate::shell::clean;

/// psql could not connect.
const NO_CONNECTION: u32 = 2;

pub async fn prove(view: &View<'_>, demand: &SqlProof) -> Result<Found, String> {
    let (step, host, port) = database(view)?;
    let document = view.inner.step(&step);
    let login = document
        .and_then(login)
        .ok_or_else(|| format!("the step {step} has no `login` for its database"))?;
    let password = (view.inner.setup.variable)(&login.password_env)
        .ok_or_else(|| format!("the environment variable {} is not set", login.password_env))?;
    let script = script(&demand.query, view.limit().as_millis());
    let functions = program(&host, port, login, &password, &script)?;
    let target = view.target()?;
    let ran = view.run(&target, &functions, "ask; exit $?", VALUE).await?;
    let at = format!("{} at {host}:{port}", login.database);
    answer(&ran, demand, view, view.at(&target, &at))
}

fn login(step: &Step) -> Option<&DatabaseLogin> {
    let aws = step.aws.as_ref()?;
    let of_rds = aws.rds.as_ref().and_then(|rds| rds.login.as_ref());
    of_rds.or_else(|| aws.aurora.as_ref().and_then(|aurora| aurora.login.as_ref()))
}

/// The step's own database, or that of the one step with a database that it needs.
fn database(view: &View<'_>) -> Result<(String, String, u16), String> {
    let of = |step: &str| -> Option<(String, String, u16)> {
        let (host, port) = view.inner.recovered(step).endpoint?;
        Some((step.to_owned(), host, port))
    };
    if let Some(own) = of(&view.step.step) {
        return Ok(own);
    }
    let mut found: Vec<_> = needs(view.inner, view.step)
        .iter()
        .filter_map(|s| of(s))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err("neither this step nor one that it needs has a restored database".into()),
        _ => Err("it needs more than one step with a database: ask within that step".into()),
    }
}

/// All that the step needs, directly or not.
fn needs(inner: &Inner, step: &Step) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut ask = step.needs.clone();
    while let Some(name) = ask.pop() {
        if found.contains(&name) {
            continue;
        }
        ask.extend(
            inner
                .step(&name)
                .map(|s| s.needs.clone())
                .unwrap_or_default(),
        );
        found.push(name);
    }
    found
}

/// The program goes through standard input, so the password stands in no argument; psql has it in
/// its environment, which root and its own account alone can read. The database's certificate is
/// not checked: that it is the restored one, in the drill's own network, is known from its address.
fn program(
    host: &str,
    port: u16,
    login: &DatabaseLogin,
    password: &str,
    script: &str,
) -> Result<String, String> {
    let variables = [
        ("PGHOST", host),
        ("PGPORT", &port.to_string()),
        ("PGUSER", &login.user),
        ("PGDATABASE", &login.database),
        ("PGPASSWORD", password),
        ("PGCONNECT_TIMEOUT", "15"),
        ("PGSSLMODE", "prefer"),
        ("PGTZ", "UTC"),
    ];
    let mut set = String::new();
    for (name, value) in variables {
        set.push_str(&format!("  {name}={}; export {name}\n", quoted(value)?));
    }
    Ok(format!(
        "ask() {{\n  have psql || {{ echo 'the instance has no psql' >&2; return 127; }}\n{set}  \
         printf %s {} | psql {}\n}}",
        quoted(script)?,
        ARGUMENTS.join(" ")
    ))
}

fn answer(ran: &Ran, demand: &SqlProof, view: &View<'_>, at: String) -> Result<Found, String> {
    let found = |outcome, read: String| Found {
        outcome,
        expected: expected(demand),
        read,
        at: at.clone(),
    };
    if ran.cut {
        let read = "more than one value, or a very long one".into();
        return Ok(found(ProofOutcome::Unknown, read));
    }
    let said = String::from_utf8_lossy(&ran.ended.stderr);
    match ran.ended.status {
        Some(0) => {}
        Some(NO_CONNECTION) | Some(127) | None => {
            return Err(format!("psql: {}: {}", ran.how(), clean(&said, 300)));
        }
        Some(_) => {
            let outcome = match is_not_there(&said) {
                true => ProofOutcome::Fail,
                false => ProofOutcome::Unknown,
            };
            return Ok(found(outcome, clean(&said, 300)));
        }
    }
    let value = match one_value(&ran.out) {
        Ok(value) => value,
        Err(why) => return Ok(found(ProofOutcome::Fail, why)),
    };
    let read = clean(&value, 300);
    Ok(match judge(demand, &value, view.drill.disaster) {
        Ok(passes) => found(outcome(passes), read),
        Err(why) => found(ProofOutcome::Fail, format!("{read}: {why}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_the_program_and_in_no_argument() {
        let login = DatabaseLogin {
            user: "app".into(),
            database: "orders".into(),
            password_env: "X".into(),
        };
        let text = program("db", 5432, &login, "pa'ss", "SELECT 1").unwrap();
        assert!(
            text.contains(r"PGPASSWORD='pa'\''ss'; export PGPASSWORD"),
            "{text}"
        );
        let psql = text.lines().find(|l| l.contains("| psql")).unwrap();
        assert!(!psql.contains("pa'"), "{psql}");
        assert!(psql.contains("--no-password"), "{psql}");
    }
}
