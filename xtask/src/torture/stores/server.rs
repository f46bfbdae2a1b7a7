//! An HTTP server of objects that may answer wrongly: as S3 does, and as a plain web server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Error, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::objects::{Object, Objects};
use super::trouble::{Kind, Trouble};

/// Bucket and prefix of the objects.
pub(super) const PLACE: &str = "bucket/set";
/// How long a stalled connection stays open.
const STALL: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(50);
/// What `Retry-After` says, in seconds.
const RETRY_AFTER: u64 = 1;

/// Runs until it is dropped.
pub(super) struct Server {
    state: Arc<State>,
    address: SocketAddr,
}

struct State {
    objects: Arc<Objects>,
    trouble: Mutex<Option<Trouble>>,
    requests: AtomicUsize,
    /// Names that were asked for.
    seen: Mutex<BTreeSet<String>>,
    /// When requests may be repeated whose answer had `Retry-After`.
    not_before: Mutex<BTreeMap<String, Instant>>,
    /// Requests that were repeated earlier.
    too_early: AtomicUsize,
    /// Whether a request other than a `GET` of an object was answered wrongly.
    spoiled_others: AtomicBool,
    has_ended: AtomicBool,
}

impl Server {
    pub(super) fn start(objects: Arc<Objects>, trouble: Option<Trouble>) -> Result<Self, String> {
        let failed = |e: Error| format!("a server on 127.0.0.1: {e}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State {
            objects,
            trouble: Mutex::new(trouble),
            requests: AtomicUsize::new(0),
            seen: Mutex::default(),
            not_before: Mutex::default(),
            too_early: AtomicUsize::new(0),
            spoiled_others: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                // Clients may go at any time.
                std::thread::spawn(move || drop(state.serve(stream)));
            }
        });
        Ok(Self { state, address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Whether only `GET`s of objects were answered wrongly.
    pub(super) fn spoiled_bodies_only(&self) -> bool {
        !self.state.spoiled_others.load(Ordering::SeqCst)
    }

    /// Number of requests that were repeated before the time of `Retry-After` was over.
    pub(super) fn too_early(&self) -> usize {
        self.state.too_early.load(Ordering::SeqCst)
    }

    /// Answers rightly from now on, and another client.
    pub(super) fn mend(&self) {
        lock(&self.state.not_before).clear();
        *lock(&self.state.trouble) = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

struct Request {
    method: String,
    path: String,
    /// The last byte is one before the end.
    range: Option<(usize, Option<usize>)>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let line = lines.next()?.ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut range = None;
        for line in lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
        {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (start, last) = value.trim().split_once('-')?;
                range = Some((start.parse().ok()?, last.parse().ok()));
            }
        }
        Some(Self {
            method,
            path,
            range,
        })
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> Result<(), Error> {
        let Some(request) = Request::read(&stream) else {
            return Ok(());
        };
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let repeated = format!("{} {} {:?}", request.method, request.path, request.range);
        let not_before = lock(&self.not_before).remove(&repeated);
        if not_before.is_some_and(|time| Instant::now() < time) {
            self.too_early.fetch_add(1, Ordering::SeqCst);
        }
        let trouble = lock(&self.trouble).filter(|trouble| trouble.is_met_by(number));
        let kind = trouble.map(|trouble| trouble.kind);
        let mut connection = Connection {
            stream,
            state: self,
        };
        // A proxy is asked for a URL.
        let target = match request.path.strip_prefix("http://") {
            Some(url) => url.find('/').map_or("/", |start| &url[start..]),
            None => &request.path,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let name = path
            .strip_prefix(&format!("/{PLACE}/"))
            .filter(|name| !name.is_empty());
        if kind.is_some() && (name.is_none() || request.method != "GET") {
            self.spoiled_others.store(true, Ordering::SeqCst);
        }
        match kind {
            Some(Kind::Closed) => return connection.close(),
            Some(Kind::Stall) => return connection.stall(),
            Some(Kind::Garbage) => return connection.send(b"no HTTP\0\r\n\r\n"),
            Some(Kind::Status(code, retry_after)) => {
                let retry_after = match retry_after {
                    true => {
                        let time = Instant::now() + Duration::from_secs(RETRY_AFTER);
                        lock(&self.not_before).insert(repeated, time);
                        format!("Retry-After: {RETRY_AFTER}\r\n")
                    }
                    false => String::new(),
                };
                let head = format!(
                    "HTTP/1.1 {code} Trouble\r\n{retry_after}Content-Length: 0\r\nConnection: close\r\n\r\n"
                );
                return connection.send(head.as_bytes());
            }
            Some(Kind::RedirectLoop) => return connection.redirect(target),
            Some(Kind::Redirect) if !query.contains("redirected") => {
                let mark = if query.is_empty() { '?' } else { '&' };
                return connection.redirect(&format!("{target}{mark}redirected=1"));
            }
            _ => {}
        }
        let Some(name) = name else {
            let list = match request.method.as_str() {
                "GET" if query.contains("list-type=2") => self.list(),
                _ => {
                    return connection.send(
                        b"HTTP/1.1 404 None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                }
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n";
            return connection.answer(kind, head, list.as_bytes(), true);
        };
        let Some(object) = self.object(name, kind) else {
            return connection
                .send(b"HTTP/1.1 404 None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let len = object.bytes.len();
        let range = request.range.filter(|_| kind != Some(Kind::WholeObject));
        let range = range.map(|(start, last)| {
            let end = last.map_or(len, |last| len.min(last + 1));
            start.min(end)..end
        });
        let head = head(&object, range.as_ref(), kind);
        let body = match range {
            None => 0..len,
            Some(range) if kind == Some(Kind::HalfRange) => half(&range),
            Some(range) => range,
        };
        connection.answer(kind, &head, &object.bytes[body], request.method != "HEAD")
    }

    /// The object in the version that is seen now.
    fn object(&self, name: &str, kind: Option<Kind>) -> Option<Object> {
        let object = self.objects.get(name)?;
        let was_seen = !lock(&self.seen).insert(name.to_owned());
        Some(match kind {
            Some(Kind::OtherBytes) if was_seen => object.replaced(false),
            Some(Kind::MoreBytes) if was_seen => object.replaced(true),
            _ => object.clone(),
        })
    }

    /// What S3 answers to `ListObjectsV2`.
    fn list(&self) -> String {
        let prefix = PLACE.split_once('/').map_or("", |(_, prefix)| prefix);
        let mut list =
            String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>");
        for (name, object) in self.objects.iter() {
            lock(&self.seen).insert(name.clone());
            // Writing to a string cannot fail.
            let _ = write!(
                list,
                "<Contents><Key>{prefix}/{name}</Key><LastModified>2015-10-21T07:28:00.123Z</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                object.e_tag,
                object.bytes.len()
            );
        }
        list + "</ListBucketResult>"
    }
}

/// The first half, and at least a byte.
fn half(range: &Range<usize>) -> Range<usize> {
    range.start..(range.start + (range.len() / 2).max(1)).min(range.end)
}

/// Status and headers, without the length of the body.
fn head(object: &Object, range: Option<&Range<usize>>, kind: Option<Kind>) -> String {
    let mut len = object.bytes.len();
    let status = match range {
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
        Some(range) => {
            let mut range = range.clone();
            match kind {
                Some(Kind::HalfRange) => range = half(&range),
                Some(Kind::OtherRange) => range = range.start + 1..range.end + 1,
                Some(Kind::OtherSize) => len += 1,
                _ => {}
            }
            let last = range.end.saturating_sub(1);
            let start = range.start;
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{len}\r\n")
        }
    };
    match kind {
        Some(Kind::NoVersion) => status,
        _ => format!(
            "{status}ETag: \"{}\"\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n",
            object.e_tag, object.modified
        ),
    }
}

struct Connection<'a> {
    stream: TcpStream,
    state: &'a State,
}

impl Connection<'_> {
    /// Sends a head, with the length of the body, and the body if there is to be one.
    fn answer(
        &mut self,
        kind: Option<Kind>,
        head: &str,
        body: &[u8],
        has_body: bool,
    ) -> Result<(), Error> {
        let len = match kind {
            Some(Kind::LengthTooLarge) => body.len() + 100,
            Some(Kind::LengthTooSmall) => body.len().div_ceil(2),
            _ => body.len(),
        };
        let head = format!("{head}Content-Length: {len}\r\nConnection: close\r\n\r\n");
        if kind == Some(Kind::HeadCut) {
            return self.send(&head.as_bytes()[..head.len() / 2]);
        }
        self.stream.write_all(head.as_bytes())?;
        let body = if has_body { body } else { &[] };
        let half = &body[..body.len() / 2];
        match kind {
            Some(Kind::BodyCut) => self.send(half),
            Some(Kind::BodyStall) if has_body => {
                self.stream.write_all(half)?;
                self.stall()
            }
            Some(Kind::Drip) => {
                for byte in body {
                    self.stream.write_all(&[*byte])?;
                    std::thread::sleep(INTERVAL);
                }
                self.close()
            }
            _ => self.send(body),
        }
    }

    fn redirect(&mut self, to: &str) -> Result<(), Error> {
        let head = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        self.send(head.as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes)?;
        self.close()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.stream.shutdown(Shutdown::Write)?;
        // Until the client has read it: closing a socket with unread bytes resets the connection.
        let mut rest = [0; 64];
        self.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        while std::io::Read::read(&mut self.stream, &mut rest)? > 0 {}
        Ok(())
    }

    /// Sends nothing until the client goes.
    fn stall(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        self.stream.set_nonblocking(true)?;
        while start.elapsed() < STALL && !self.state.has_ended.load(Ordering::SeqCst) {
            if matches!(self.stream.peek(&mut [0]), Ok(0)) {
                return Ok(());
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
