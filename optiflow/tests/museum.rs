//! The one incident of the museum that needs the whole program: what a user would paste into a bug report.
//!
//! The others are in the tests of `optiflow-backtest`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use optiflow_base::secret::Secret;
use optiflow_oms::binance::sign::ApiKey;
use serde_json::Value;

mod exchange;
mod support;

use support::{Folder, root, until};

// Elsewhere: a user pasted what looks like a live key pair into a public issue (freqtrade#3638).
// Here: no output, error, database, panic or process table holds a key, whatever goes wrong: there is nothing to paste by mistake.
#[test]
fn secrets_stay_out_of_bug_reports() {
    let folder = Folder::new("museum");
    let exchange = Exchange::start(&folder, "fair", &[]);
    let canaries = exchange.canaries();
    let mut found = Found { canaries, forms: 0 };
    sessions_in_bad_weather(&folder, &mut found);
    a_refused_key(&folder, &exchange, &mut found);
    keys_in_the_wrong_place(&folder, &exchange, &mut found);
    a_panic(&exchange, &mut found);
    for entry in fs::read_dir(folder.path("")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".db") || name.contains(".said") {
            found.search(&name, &fs::read(entry.path()).unwrap());
        }
    }
    assert!(found.forms >= 100, "{} searches", found.forms);
}

/// Trades with either kind of key through every fault that has an error path of its own, and is ended by `kill`.
fn sessions_in_bad_weather(folder: &Folder, found: &mut Found) {
    let demo = fs::read_to_string(root().join("configs/demo.toml")).unwrap();
    fs::write(folder.path("ed25519.toml"), demo.replace("key = \"hmac\"", "key = \"ed25519\"")).unwrap();
    fs::write(folder.path("hmac.toml"), demo).unwrap();
    for key in ["hmac", "ed25519"] {
        let exchange = Exchange::start(folder, key, &FAULTS);
        let said = File::create(folder.path(&format!("trade-{key}.said"))).unwrap();
        let mut trader = exchange
            .command("trade", folder, &format!("{key}.db"))
            .args(["--config", &folder.path(&format!("{key}.toml")), "--for", "6s"])
            .stderr(said.try_clone().unwrap())
            .stdout(said)
            .spawn()
            .unwrap();
        let path = folder.path(&format!("{key}.db"));
        until("no session begins", START_MAX, || count(&path, "sessions").filter(|count| *count > 0));
        // What is killed by a signal leaves no image of its memory.
        let limits = fs::read_to_string(format!("/proc/{}/limits", trader.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        for file in ["cmdline", "environ"] {
            found.search(file, &fs::read(format!("/proc/{}/{file}", trader.id())).unwrap());
        }
        wait(&mut trader);
        assert!(count(&path, "notices").is_some_and(|rows| rows > 0), "something went wrong, and was written down");
        let killed = exchange.command("kill", folder, &format!("{key}.db")).arg("--json").output().unwrap();
        found.search_output("kill", &killed);
    }
}

/// The exchange knows the key by another secret: every signature is refused.
fn a_refused_key(folder: &Folder, exchange: &Exchange, found: &mut Found) {
    let secret = "CanaryOfAWrongSecret0123456789CanaryOfAWrongSecret";
    found.canaries.push(secret.as_bytes().to_vec());
    let mut line = exchange.line.clone();
    line["api_secret"] = secret.into();
    fs::write(folder.path("wrong.json"), format!("{line}\n")).unwrap();
    for command in ["trade", "kill"] {
        let mut process = program(command);
        process.args(["--exchange", &folder.path("wrong.json"), "--db", &folder.path("wrong.db")]);
        if command == "trade" {
            process.args(["--for", "5s"]);
        }
        let output = process.output().unwrap();
        assert!(!output.status.success(), "{command} with a wrong secret");
        found.search_output(command, &output);
    }
}

/// Keys where no key belongs, or in files that cannot be used: what is wrong is said without showing it.
fn keys_in_the_wrong_place(folder: &Folder, exchange: &Exchange, found: &mut Found) {
    let secret = exchange.line["api_secret"].as_str().unwrap();
    let id = exchange.line["api_key"].as_str().unwrap();
    let demo = fs::read_to_string(root().join("configs/demo.toml")).unwrap();
    let testnet = demo.replace("mode = \"sim\"", "mode = \"testnet\"");
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let named = |id: &str, secret: &str| format!("\n[keys]\napi_key_file = \"{id}\"\nsecret_file = \"{secret}\"\n");
    let good_id = file("id.key", id, 0o600);
    let configs = [
        // In the configuration itself, quoted, unquoted, under another name, unfinished, where a number belongs.
        format!("{testnet}\n[keys]\napi_key = \"{id}\"\napi_secret = \"{secret}\"\n"),
        format!("{testnet}\n[keys]\napi_key = {id}\napi_secret = {secret}\n"),
        format!("{testnet}\n[keys]\nmy_secret = \"{secret}\"\n"),
        format!("{testnet}\n[keys]\napi_secret = \"{secret}\n"),
        testnet.replace("orders_minute = 600", &format!("orders_minute = \"{secret}\"")),
        // In place of the path.
        testnet.clone() + &named(&good_id, secret),
        testnet.clone() + &named(id, &file("path.key", secret, 0o600)),
        // In a file that others may read, that holds no key, or a damaged one.
        testnet.clone() + &named(&good_id, &file("open.key", secret, 0o644)),
        testnet.clone() + &named(&file("strange.key", &format!("{id} {secret}"), 0o600), &file("s.key", secret, 0o600)),
        testnet.clone() + &named(&good_id, &file("pem.key", &format!("-----BEGIN PRIVATE KEY-----\n{secret}"), 0o600)),
        testnet.clone() + &named(&good_id, &file("binary.key", &format!("\u{1}{secret}"), 0o600)),
    ];
    for (index, config) in configs.iter().enumerate() {
        let path = folder.path(&format!("bad-{index}.toml"));
        fs::write(&path, config).unwrap();
        let trade = program("trade").args(["--config", &path, "--db", &folder.path("bad.db")]).output().unwrap();
        assert_eq!(trade.status.code(), Some(2), "{index}: {}", String::from_utf8_lossy(&trade.stderr));
        found.search_output(&format!("trade with configuration {index}"), &trade);
        let check = program("check").args(["--json", &path]).output().unwrap();
        found.search_output(&format!("check of configuration {index}"), &check);
        if check.status.success() {
            // What is wrong is a key's file, of which these know nothing: they would go and look for the exchange.
            continue;
        }
        for (what, more) in [("backtest", ["--data", "none.parquet"]), ("record", ["--for", "1ms"])] {
            let mut command = program(what);
            command.args(["--config", &path, "--out", &folder.path("nothing")]).args(more);
            found.search_output(&format!("{what} with configuration {index}"), &command.output().unwrap());
        }
    }
    // A configuration with a key in place of a file of faults.
    let lies = program("exchange").args(["--faults", &folder.path("bad-3.toml")]).output().unwrap();
    assert_eq!(lies.status.code(), Some(2));
    found.search_output("a configuration for a file of faults", &lies);
    // A key file in place of the exchange's line.
    let private = exchange.line["ed25519_key_file"].as_str().unwrap();
    for path in [private.to_owned(), folder.path("pem.key")] {
        let output = program("trade").args(["--exchange", &path, "--db", &folder.path("bad.db")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        found.search_output("a key file for the exchange's line", &output);
    }
}

/// What a panic would print of whatever holds a key.
fn a_panic(exchange: &Exchange, found: &mut Found) {
    let text = |field: &str| exchange.line[field].as_str().unwrap();
    let secret = Secret::new(text("api_secret").as_bytes().to_vec());
    let hmac = ApiKey::hmac(text("api_key"), &secret).unwrap();
    let pem = Secret::new(fs::read(text("ed25519_key_file")).unwrap());
    let ed25519 = ApiKey::ed25519(text("api_key"), &pem).unwrap();
    let prepared = hmac.prepare(b"");
    let damaged = ApiKey::ed25519(text("api_key"), &secret);
    let said = format!("{secret:?} {hmac:?} {pem:#?} {ed25519:#?} {prepared:?} {damaged:?}");
    let damaged = damaged.map_or_else(|error| error.to_string(), |_| String::new());
    found.search("panic", said.as_bytes());
    found.search("error", damaged.as_bytes());
}

/// What is searched for, in every form in which it could have been written.
struct Found {
    canaries: Vec<Vec<u8>>,
    forms: usize,
}

impl Found {
    fn search_output(&mut self, what: &str, output: &Output) {
        self.search(&format!("stdout of {what}"), &output.stdout);
        self.search(&format!("stderr of {what}"), &output.stderr);
    }

    fn search(&mut self, what: &str, text: &[u8]) {
        let folded = |bytes: &[u8]| -> Vec<u8> {
            // Broken over lines, or in capitals, it is the same key.
            bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect()
        };
        let text = folded(text);
        for canary in &self.canaries {
            for (form, written) in forms(canary) {
                self.forms += 1;
                // A part of a key is a part too much.
                let written = folded(&written);
                let parts = [&written[..PART], &written[written.len() - PART..]];
                let is_in = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
                assert!(!parts.into_iter().any(is_in), "{what} holds a key, {form}");
            }
        }
    }
}

fn forms(canary: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = canary.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let decimal = canary.iter().map(|byte| format!("{byte},")).collect::<String>();
    let percent = canary.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    vec![
        ("raw", canary.to_vec()),
        ("in hexadecimal", hex.into_bytes()),
        ("as a list of bytes", decimal.into_bytes()),
        ("percent-encoded", percent.into_bytes()),
        ("in base64", base64(canary)),
    ]
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"+/").collect();
    // The end, which depends on the length, is left out.
    let whole = bytes.chunks_exact(3);
    let encoded = whole.flat_map(|three| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| digits[(bits >> shift & 63) as usize])
    });
    encoded.collect()
}

/// `optiflow exchange` in bad weather, and what it says of its keys.
struct Exchange {
    process: exchange::Exchange,
    line: Value,
}

impl Exchange {
    /// The same seed gives the same keys.
    fn start(folder: &Folder, name: &str, faults: &[&str]) -> Exchange {
        let rule = |name| format!("[[fault]]\nname = \"{name}\"\nrate = 0.04\nfrom = \"3s\"\nuntil = \"8s\"\n\n");
        let rules = folder.path(&format!("faults-{name}.toml"));
        fs::write(&rules, faults.iter().map(rule).collect::<String>()).unwrap();
        let process =
            exchange::Exchange::named(folder, &format!("exchange-{name}"), &["--seed", "20", "--faults", &rules]);
        Exchange { line: process.said(), process }
    }

    fn command(&self, what: &str, folder: &Folder, database: &str) -> Command {
        let mut command = program(what);
        command.arg("--exchange").arg(&self.process.line).args(["--db", &folder.path(database)]);
        command
    }

    /// Both halves of the shared key, and the private one of the other.
    fn canaries(&self) -> Vec<Vec<u8>> {
        let text = |field: &str| self.line[field].as_str().unwrap().as_bytes().to_vec();
        let pem = fs::read_to_string(self.line["ed25519_key_file"].as_str().unwrap()).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        // What precedes the key itself is the same in all files of this kind.
        vec![text("api_key"), text("api_secret"), body.as_bytes()[PKCS8_HEAD..].to_vec()]
    }
}

fn program(what: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_optiflow"));
    command.arg(what).current_dir(root());
    command
}

/// Rows of a table; none while it cannot be read.
fn count(database: &str, table: &str) -> Option<i64> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(database, flags).ok()?;
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).ok()
}

/// A session that takes its time to stop is killed: what it has written is searched all the same.
fn wait(process: &mut Child) {
    let deadline = Instant::now() + SESSION_MAX;
    while process.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            let _ = process.kill();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What has an error path of its own.
const FAULTS: [&str; 6] =
    ["timeout_executed", "lost_reply", "cut_reply", "internal_error", "forbidden", "order_not_found"];
/// So many characters of a key in a row are found by no accident.
const PART: usize = 16;
/// Characters of base64 before the first private byte, and the one that they share.
const PKCS8_HEAD: usize = 24;

/// A session begins against an exchange in bad weather long before.
const START_MAX: Duration = Duration::from_secs(90);
/// From a session's fourth second: a stop under faults may take its time, and this test is about what it says.
const SESSION_MAX: Duration = Duration::from_secs(14);
