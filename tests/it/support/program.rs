//! The real program, as a child process over real sockets.
//!
//! `public_url` has to be known before the program has a port, and no port may be taken for free. So the
//! test owns the public address: it binds it, and copies bytes to wherever the program says it listens.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use entrada::adapters::system::SystemClock;
use entrada::demo::idp::DevIdp;
use entrada::demo::idp::Options;
use entrada::demo::idp::Person;
use entrada::ports::clock::Clock;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::entrada::TENANT;
use crate::support::entrada::UPSTREAM_SECRET;
use crate::support::front::Front;
use crate::support::script::Scripted;
use crate::support::tools::ToolServer;
use crate::support::vigil::Vigil;

pub const UPSTREAM_CLIENT: &str = "99999999-8888-4777-8666-555555555555";

/// Nothing here takes a tenth of it, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What is there before a program and after it: a public address, an identity provider, an MCP server, a
/// data directory. Dropped, it asserts that no secret was printed by any program, or stored.
pub struct Site {
    pub public_url: String,
    pub idp: DevIdp,
    pub script: Arc<Scripted>,
    pub tools: ToolServer,
    pub vigil: Arc<Vigil>,
    front: Front,
    dir: TempDir,
    /// Everything that programs printed.
    printed: Arc<Mutex<String>>,
}

impl Site {
    pub async fn new() -> Self {
        let front = Front::bind().await;
        let public_url = format!("http://{}", front.address);
        let script = Scripted::new();
        let vigil = Arc::new(Vigil::default());
        vigil.never(UPSTREAM_SECRET);
        let clock = SystemClock::new();
        let options = Options {
            tenant: TENANT.to_owned(),
            client_id: UPSTREAM_CLIENT.to_owned(),
            client_secret: SecretString::from(UPSTREAM_SECRET),
            redirect_uris: vec![format!("{public_url}/auth/callback")],
            people: Person::three(TENANT),
            now: Arc::new(move || clock.now().0),
            script: script.clone(),
        };
        let idp = DevIdp::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), options).await.unwrap();
        let tools = ToolServer::start(&public_url).await;
        let (dir, printed) = (TempDir::new().unwrap(), Arc::default());
        Self { public_url, idp, script, tools, vigil, front, dir, printed }
    }

    /// The MCP endpoint that clients are told.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.public_url)
    }

    /// The configuration. Tests replace what they want different.
    pub fn settings(&self) -> String {
        format!(
            r#"
public_url = "{public_url}"
listen = "127.0.0.1:0"
data_dir = "{data_dir}"

[upstream]
tenant = "{TENANT}"
authority = "{authority}"
client_id = "{UPSTREAM_CLIENT}"
client_secret = "{UPSTREAM_SECRET}"
scopes = ["api://entrada/mcp.access"]

[tokens]
signing_alg = "ES256"
recheck = "0s"

[[resource]]
path = "/mcp"
upstream = "{tools}"
name = "Expenses"
scopes = {{ "mcp.read" = "Read your expenses", "mcp.write" = "Add expenses" }}

[log]
format = "json"

[metrics]
listen = "127.0.0.1:0"
"#,
            public_url = self.public_url,
            data_dir = self.data().display(),
            authority = self.idp.authority(),
            tools = self.tools.url,
        )
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn store_file(&self) -> PathBuf {
        self.data().join("entrada.redb")
    }

    pub fn root_key(&self) -> PathBuf {
        self.data().join("root.key")
    }

    /// A path beside the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a configuration file.
    pub fn write(&self, settings: &str) -> PathBuf {
        let file = self.path("entrada.toml");
        std::fs::write(&file, settings).unwrap();
        file
    }

    /// Serves, and returns once it listens and the public address leads there.
    pub async fn start(&self) -> Program {
        self.start_with(&self.settings()).await
    }

    pub async fn start_with(&self, settings: &str) -> Program {
        self.start_in(&[], settings).await
    }

    pub async fn start_in(&self, environment: &[(&str, &str)], settings: &str) -> Program {
        let file = self.write(settings);
        let mut program = self.spawn(&["serve", "--config", file.to_str().unwrap()], environment);
        let listening = program.logged("message", "listening").await;
        program.address = listening["address"].as_str().unwrap().parse().unwrap();
        self.front.leads_to(vec![program.address]);
        self.watch_root_key();
        program
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        self.spawn(arguments, environment).ended().await
    }

    /// Makes the root key of a store that replicas share.
    pub async fn init_keys(&self, settings: &str, environment: &[(&str, &str)]) {
        let file = self.write(settings);
        let ended = self.run_with(&["keys", "init", "--config", file.to_str().unwrap()], environment).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.watch_root_key();
    }

    /// No generation of the root key may be printed, or stored.
    fn watch_root_key(&self) {
        let text = std::fs::read_to_string(self.root_key()).unwrap_or_default();
        let keys = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
        keys.for_each(|(_, key)| self.vigil.never(key));
    }

    /// Runs `serve` to its end, with these settings.
    pub async fn serve(&self, settings: &str) -> Ended {
        self.run(&["serve", "--config", self.write(settings).to_str().unwrap()]).await
    }

    /// `entrada grant`, of the running server.
    pub async fn grant(&self, arguments: &[&str]) -> Ended {
        self.ask("grant", arguments).await
    }

    /// A command that asks the running server.
    pub async fn ask(&self, command: &str, arguments: &[&str]) -> Ended {
        let file = self.write(&self.settings());
        let configuration = ["--config", file.to_str().unwrap()];
        self.run(&[&[command], arguments, &configuration].concat()).await
    }

    /// Lets each connection to the public address lead to the next of these.
    pub fn leads_to(&self, programs: &[&Program]) {
        self.front.leads_to(programs.iter().map(|program| program.address).collect());
    }

    /// Waits until no connection leads through the public address any more.
    pub async fn settled(&self) {
        self.front.settled().await;
    }

    /// Starts the program, and does not wait for anything.
    pub fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_entrada"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| *name == "PATH" || *name == "LLVM_PROFILE_FILE"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Output::of(child.stdout.take().unwrap(), &self.printed);
        let stderr = Output::of(child.stderr.take().unwrap(), &self.printed);
        Program { child, stdout, stderr, address: ([127, 0, 0, 1], 0).into() }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.watch_root_key();
            self.idp.secrets().into_iter().for_each(|secret| self.vigil.never(secret));
            self.vigil.judge(&self.printed.lock().unwrap(), &self.store_file());
        }
    }
}

/// A running program. Dropped, it is killed; when the test fails, what it printed is shown.
pub struct Program {
    child: Child,
    stdout: Output,
    stderr: Output,
    /// Where it listens.
    pub address: SocketAddr,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// The first log line whose `field` is `value`. Waits for it.
    pub async fn logged(&self, field: &str, value: &str) -> Value {
        let fits = |line: &&Value| line[field] == value;
        let found = self.stderr.wait(|text| log_lines(text).iter().find(|line| fits(line)).cloned()).await;
        found.unwrap_or_else(|| panic!("{field} {value} was never logged:\n{}", self.stderr.text()))
    }

    /// Whether a line that begins so is printed before the program ends. Waits for it.
    pub async fn prints(&self, beginning: &str) -> bool {
        let begins = |text: &str| text.lines().any(|line| line.starts_with(beginning)).then_some(());
        self.stdout.wait(begins).await.is_some()
    }

    /// Waits until these words are logged, in a log that is text.
    pub async fn logged_text(&self, words: &str) {
        let found = self.stderr.wait(|text| text.contains(words).then_some(())).await;
        found.unwrap_or_else(|| panic!("{words} was never logged:\n{}", self.stderr.text()));
    }

    /// The first printed line that begins so, without the beginning. Waits for it.
    pub async fn printed(&self, beginning: &str) -> String {
        let rest = |line: &str| line.strip_prefix(beginning).map(str::to_owned);
        let whole =
            |text: &str| text.split_inclusive('\n').filter(|line| line.ends_with('\n')).find_map(rest);
        let found = self.stdout.wait(whole).await;
        let found =
            found.unwrap_or_else(|| panic!("{beginning:?} was never printed:\n{}", self.stdout.text()));
        found.trim_end().to_owned()
    }

    /// Every log line so far. Fails when one is not JSON.
    pub fn log(&self) -> Vec<Value> {
        let text = self.stderr.text();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not a JSON line: {line}"));
        text.lines().map(parse).collect()
    }

    /// Where `/metrics` is.
    pub async fn metrics_url(&self) -> String {
        let line = self.logged("message", "serving metrics").await;
        format!("http://{}/metrics", line["address"].as_str().unwrap())
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Ends it at once, with SIGKILL, and returns the signal that it died of.
    pub fn kill(mut self) -> Option<i32> {
        self.child.kill().unwrap();
        self.child.wait().unwrap().signal()
    }

    /// Ends it as a supervisor does.
    pub async fn stop(self) -> Ended {
        self.terminate();
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        for output in [&self.stdout, &self.stderr] {
            let ended = tokio::time::timeout(PATIENCE, output.ended()).await;
            assert!(ended.is_ok(), "the program goes on");
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "the test runner shows it when the test has failed")]
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("The program printed:\n{}{}", self.stdout.text(), self.stderr.text());
        }
    }
}

/// The lines among which some may be half written.
fn log_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What comes out of a pipe, until it ends.
struct Output(watch::Receiver<(String, bool)>);

impl Output {
    fn of(pipe: impl Read + Send + 'static, printed: &Arc<Mutex<String>>) -> Self {
        let (sender, receiver) = watch::channel((String::new(), false));
        let printed = Arc::clone(printed);
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                printed.lock().unwrap().push_str(&text);
                sender.send_modify(|(so_far, _)| so_far.push_str(&text));
                line.clear();
            }
            sender.send_modify(|(_, ended)| *ended = true);
        });
        Self(receiver)
    }

    fn text(&self) -> String {
        self.0.borrow().0.clone()
    }

    /// Waits until `look` finds something, or there is nothing more to come.
    async fn wait<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut found = None;
        let mut receiver = self.0.clone();
        let waited = receiver.wait_for(|(text, ended)| {
            found = look(text);
            found.is_some() || *ended
        });
        tokio::time::timeout(PATIENCE, waited).await.ok();
        found
    }

    async fn ended(&self) {
        self.0.clone().wait_for(|(_, ended)| *ended).await.ok();
    }
}

/// Every file below a directory, sockets left out, with its bytes.
pub fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}
