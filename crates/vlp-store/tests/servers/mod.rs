//! Servers on 127.0.0.1 that live as long as a test.

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// After how many bytes the next answers are cut off; those after them are not.
#[derive(Clone)]
pub(crate) struct Cuts(Arc<Mutex<VecDeque<usize>>>);

impl Cuts {
    pub(crate) fn after(bytes: &[usize]) -> Self {
        Self(Arc::new(Mutex::new(bytes.iter().copied().collect())))
    }

    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn next(&self) -> Option<usize> {
        self.0.lock().unwrap().pop_front()
    }
}

fn listen(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Byte ranges of a folder's files over HTTP/1.1, one request a connection; answers to GET are cut off.
pub(crate) struct Ranges {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Ranges {
    pub(crate) fn start(folder: &Path, cuts: Cuts, tags: bool) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (folder, log) = (folder.to_owned(), asked.clone());
        // A client that has gone is no matter.
        let port = listen(move |stream| {
            let _ = answer(stream, &folder, &cuts, tags, &log);
        });
        Self {
            url: format!("http://127.0.0.1:{port}"),
            asked,
        }
    }

    /// The ranges of the GETs so far.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    folder: &Path,
    cuts: &Cuts,
    tags: bool,
    asked: &Mutex<Vec<(u64, u64)>>,
) -> std::io::Result<()> {
    let (mut first, mut range) = (String::new(), None);
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            let (from, to) = value.trim().split_once('-').unwrap();
            range = Some((
                from.parse::<usize>().unwrap(),
                to.parse::<usize>().unwrap() + 1,
            ));
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let Ok(bytes) = fs::read(folder.join(path.trim_start_matches('/'))) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let (from, to) = range.unwrap_or((0, bytes.len()));
    let to = to.min(bytes.len());
    let status = match range {
        Some(_) => format!(
            "206 Partial Content\r\nContent-Range: bytes {from}-{}/{}",
            to - 1,
            bytes.len()
        ),
        None => "200 OK".into(),
    };
    let tag = if tags { "ETag: \"same\"\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\n{tag}Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nAccept-Ranges: bytes\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        to - from
    );
    stream.write_all(head.as_bytes())?;
    if method != "GET" {
        return Ok(());
    }
    asked.lock().unwrap().push((from as u64, to as u64));
    let sent = cuts.next().map_or(to, |after| to.min(from + after));
    stream.write_all(&bytes[from..sent])?;
    stream.flush()?;
    stream.shutdown(Shutdown::Both)
}

/// Passes connections on to another server; what comes back is cut off. Only answers longer than a cut use one up.
pub(crate) fn proxy(endpoint: &str, cuts: Cuts) -> String {
    let to = endpoint.trim_start_matches("http://").to_owned();
    let port = listen(move |client| {
        let Ok(server) = TcpStream::connect(&to) else {
            return;
        };
        let (mut up, mut from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut up));
        let (mut server, mut client) = (server, client);
        let (mut passed, mut buffer) = (0, vec![0; 4096]);
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            passed += read;
            let cut = cuts.0.lock().unwrap().front().copied();
            if cut.is_some_and(|after| passed > after) {
                cuts.next();
                break;
            }
            if client.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = (
            client.shutdown(Shutdown::Both),
            server.shutdown(Shutdown::Both),
        );
    });
    format!("http://127.0.0.1:{port}")
}

/// moto's S3 server; ends with this value.
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    process: Child,
}

impl S3 {
    /// Starts it from where `scripts/s3-server` installs it; else why it cannot be.
    pub(crate) fn start() -> Result<Self, String> {
        let program = program()?;
        // Free now; that another takes it before the server does is improbable, and then the wait below ends.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let server = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            process,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(60) {
                return Err(format!("{} does not answer", program.display()));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub(crate) fn options(&self, endpoint: &str) -> Vec<(String, String)> {
        [
            ("aws_access_key_id", "test"),
            ("aws_secret_access_key", "test"),
            ("aws_region", "us-east-1"),
            ("aws_allow_http", "true"),
            ("aws_endpoint", endpoint),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Makes a bucket, and uploads a folder's files below a prefix; the server asks for no signature.
    pub(crate) fn put(&self, bucket: &str, prefix: &str, folder: &Path) {
        self.request(bucket, &[]);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let bytes = fs::read(&path).unwrap();
            self.request(&format!("{bucket}/{prefix}/{name}"), &bytes);
        }
    }

    fn request(&self, path: &str, bytes: &[u8]) {
        let host = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let credential = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, \
                          SignedHeaders=host, Signature=0";
        let head = format!(
            "PUT /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {credential}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `moto_server` of the environment in `VLP_S3_SERVER`, or of `s3-server` in the target folder.
fn program() -> Result<PathBuf, String> {
    let environment = match env::var_os("VLP_S3_SERVER") {
        Some(environment) => PathBuf::from(environment),
        // The test's own program lies in TARGET/debug/deps.
        None => {
            let test = env::current_exe().map_err(|error| error.to_string())?;
            let target = test.ancestors().nth(3).unwrap_or(Path::new("."));
            target.join("s3-server")
        }
    };
    let program = environment.join("bin/moto_server");
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "there is no {}; scripts/s3-server installs it",
        program.display()
    ))
}
