//! `optiflow check FILE`: lists every problem of a configuration, or shows what it comes to.
//!
//! Never opens a socket; reads of key files only whether they are there and private.

use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config::Config;
use crate::say::{out, say};

/// Runs the command: exit 0 without problems, 2 with.
pub fn run(args: &CheckArgs) -> ExitCode {
    let result = Config::load(&args.file);
    if args.json {
        let (problems, values) = match &result {
            Ok(config) => (Vec::new(), config.effective.clone()),
            Err(error) => (error.problems().to_vec(), Vec::new()),
        };
        let values: serde_json::Map<_, _> = values.into_iter().map(|(key, value)| (key, value.into())).collect();
        out(serde_json::json!({ "ok": problems.is_empty(), "problems": problems, "values": values }));
    } else {
        match &result {
            Ok(config) => {
                out(format_args!("{}: no problems", args.file.display()));
                for (key, value) in &config.effective {
                    out(format_args!("  {key} = {value}"));
                }
            }
            Err(error) => say(error.to_string().trim_end()),
        }
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
