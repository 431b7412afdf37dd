use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;

const LIMITS: Limits = Limits { read: 4096, pieces: 200, body: 8 };

/// Returns what is made of an answer that comes in pieces of the given size and then ends.
async fn read(answer: &[u8], piece: usize, is_head: bool) -> Result<Answer, String> {
    let (near, mut far) = duplex(64 * 1024);
    let pieces: Vec<Vec<u8>> = answer.chunks(piece).map(<[u8]>::to_vec).collect();
    tokio::spawn(async move {
        far.read_exact(&mut [0; 3]).await.expect("a request");
        for piece in pieces {
            if far.write_all(&piece).await.is_err() {
                return;
            }
            // So that the other end sees each piece by itself.
            tokio::task::yield_now().await;
        }
    });
    exchange(Stream::Other(Box::new(near)), b"GET", is_head, LIMITS, || ()).await
}

/// Reads an answer whole and byte by byte, which has to mean the same.
#[track_caller]
fn said(answer: &str) -> Result<(u16, String), String> {
    let read = |piece| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(read(answer.as_bytes(), piece, false))?;
        Ok((answer.status, String::from_utf8(answer.body.bytes).unwrap()))
    };
    let whole = read(usize::MAX);
    assert_eq!(whole, read(1));
    whole
}

#[test]
fn bodies_end_where_the_head_says() {
    let ok = |body: &str| Ok((200, body.to_owned()));
    let cases = [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", ok("ok")),
        (
            "the same length twice",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\no",
            ok("o"),
        ),
        ("no length", "HTTP/1.1 200 OK\r\n\r\nok", ok("ok")),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", ok("ok")),
        ("no reason, bare line feeds", "HTTP/1.1 200\nA: b\n\nok", ok("ok")),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n2;a=b\r\nka\r\n0\r\n\r\n",
            ok("oka"),
        ),
        (
            "trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1\r\no\r\n0\r\nA: b\r\n\r\n",
            ok("o"),
        ),
        (
            "another coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nok",
            ok("ok"),
        ),
        ("cut at the limit", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n0123456789", ok("01234567")),
        (
            "chunks cut",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n9\r\n56789",
            ok("01234567"),
        ),
        (
            "nothing follows 204",
            "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
            Ok((204, String::new())),
        ),
        (
            "interim",
            "HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok",
            ok("ok"),
        ),
        ("folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 1\r\n\r\nok", ok("o")),
    ];
    for (name, answer, expected) in cases {
        assert_eq!(said(answer), expected, "{name}");
    }
}

#[test]
fn what_is_no_answer_fails_with_its_reason() {
    let no_head = "the connection was closed before the end of the answer's head";
    let no_body = "the connection was closed before the end of the body";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        (String::new(), no_head),
        ("HTTP/1.1 200 OK\r\nA: b\r\n".to_owned(), no_head),
        ("HTTP/1.1 100 Continue\r\n\r\n".to_owned(), no_head),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok".to_owned(), no_body),
        (format!("{chunked}2\r\no"), no_body),
        (format!("{chunked}1\r\no\r\n"), no_body),
        (format!("{chunked}0\r\nA: b\r\n"), no_body),
        (format!("{chunked}1\r\nok\r\n0\r\n\r\n"), "a chunk of the body is longer than it says"),
        (format!("{chunked}zz\r\n"), "a chunk of the body has an invalid size"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            "the answer is not HTTP/1: it has two different lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nok".to_owned(),
            "the answer is not HTTP/1: invalid content-length",
        ),
        ("<html>ok</html>".to_owned(), "the answer is not HTTP/1: invalid HTTP version"),
    ];
    for (answer, expected) in cases {
        assert_eq!(said(&answer), Err(expected.to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", usize::MAX, true).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.location, answer.body.bytes), (200, None, Vec::new()));
}

#[tokio::test]
async fn where_a_redirect_leads_is_told() {
    let answer = read(b"HTTP/1.1 302 Found\r\nlocation: /a\r\nLocation: /b\r\n\r\n", usize::MAX, false).await;
    assert_eq!(answer.map(|answer| answer.location), Ok(Some("/a".to_owned())));
}

#[tokio::test]
async fn a_flood_and_a_trickle_have_their_limits() {
    let flood = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(1000)].concat();
    let reason = read(&flood, usize::MAX, false).await.unwrap_err();
    assert!(reason.contains("too many headers") || reason.ends_with("no end within 4096 bytes"), "{reason}");
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(5000));
    for (piece, expected) in [(usize::MAX, "4096"), (1, "200")] {
        let reason = read(long.as_bytes(), piece, false).await.unwrap_err();
        assert_eq!(reason, format!("the answer has no end within {expected} bytes"));
    }
}
