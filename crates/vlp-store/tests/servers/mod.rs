//! Servers on 127.0.0.1 that run for the duration of a test.

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

/// Lengths to which the next responses are truncated; further responses are complete.
#[derive(Clone)]
pub(crate) struct Truncations(Arc<Mutex<VecDeque<usize>>>);

impl Truncations {
    pub(crate) fn new(lengths: &[usize]) -> Self {
        Self(Arc::new(Mutex::new(lengths.iter().copied().collect())))
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn next(&self) -> Option<usize> {
        self.0.lock().unwrap().pop_front()
    }
}

fn listen(respond: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let respond = respond.clone();
            thread::spawn(move || respond(stream));
        }
    });
    port
}

/// An HTTP/1.1 server of byte ranges of files, with one request per connection; responses to GET may be truncated.
pub(crate) struct RangeServer {
    pub(crate) url: String,
    ranges: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl RangeServer {
    pub(crate) fn start(folder: &Path, truncations: Truncations, with_e_tag: bool) -> Self {
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (folder, log) = (folder.to_owned(), ranges.clone());
        // Errors of closed connections are ignored.
        let port = listen(move |stream| {
            let _ = respond(stream, &folder, &truncations, with_e_tag, &log);
        });
        Self {
            url: format!("http://127.0.0.1:{port}"),
            ranges,
        }
    }

    /// The ranges of the GET requests so far.
    pub(crate) fn ranges(&self) -> Vec<(u64, u64)> {
        self.ranges.lock().unwrap().clone()
    }
}

fn respond(
    mut stream: TcpStream,
    folder: &Path,
    truncations: &Truncations,
    with_e_tag: bool,
    ranges: &Mutex<Vec<(u64, u64)>>,
) -> std::io::Result<()> {
    let (mut request_line, mut range) = (String::new(), None);
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut request_line)?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            let (start, end) = value.trim().split_once('-').unwrap();
            range = Some((
                start.parse::<usize>().unwrap(),
                end.parse::<usize>().unwrap() + 1,
            ));
        }
    }
    let mut words = request_line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let Ok(bytes) = fs::read(folder.join(path.trim_start_matches('/'))) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let (start, end) = range.unwrap_or((0, bytes.len()));
    let end = end.min(bytes.len());
    let status = match range {
        Some(_) => format!(
            "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
            end - 1,
            bytes.len()
        ),
        None => "200 OK".into(),
    };
    let sum = bytes.iter().fold(0_u32, |sum, &byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let e_tag = match with_e_tag {
        true => format!("ETag: W/\"{sum:08x}\"\r\n"),
        false => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{e_tag}Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nAccept-Ranges: bytes\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        end - start
    );
    stream.write_all(head.as_bytes())?;
    if method != "GET" {
        return Ok(());
    }
    ranges.lock().unwrap().push((start as u64, end as u64));
    let truncated_end = truncations.next().map_or(end, |len| end.min(start + len));
    stream.write_all(&bytes[start..truncated_end])?;
    stream.flush()?;
    stream.shutdown(Shutdown::Both)
}

/// Forwards connections to another server. A truncation is used up only by a response longer than it.
pub(crate) fn proxy(endpoint: &str, truncations: Truncations) -> String {
    let server_address = endpoint.trim_start_matches("http://").to_owned();
    let port = listen(move |client| {
        let Ok(server) = TcpStream::connect(&server_address) else {
            return;
        };
        let (mut request, mut upstream) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut request, &mut upstream));
        let (mut server, mut client) = (server, client);
        let (mut forwarded, mut buffer) = (0, vec![0; 4096]);
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            forwarded += read;
            let max_len = truncations.0.lock().unwrap().front().copied();
            if max_len.is_some_and(|max_len| forwarded > max_len) {
                truncations.next();
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

/// moto's S3 server, which stops when this is dropped.
pub(crate) struct S3Server {
    pub(crate) endpoint: String,
    process: Child,
}

impl S3Server {
    /// Starts the server that `scripts/s3-server` installs.
    ///
    /// # Errors
    /// The reason if that fails.
    pub(crate) fn start() -> Result<Self, String> {
        let program = program()?;
        // Another process might take the free port before the server does; the wait below then times out.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
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
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > Duration::from_secs(60) {
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

    /// Creates a bucket and uploads the files of a folder below a prefix; the server does not check signatures.
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
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Path of `moto_server` in the Python environment `VLP_S3_SERVER`, by default `s3-server` in the target folder.
fn program() -> Result<PathBuf, String> {
    let environment = match env::var_os("VLP_S3_SERVER") {
        Some(environment) => PathBuf::from(environment),
        // The test binary is in TARGET/debug/deps.
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
