package main

import (
	"bytes"
	"fmt"
	"strconv"

	"silo/internal/linux"
)

// bareClient is a client that does nothing but what a request takes: the text is
// ready, and of the answer it reads the status and where the body is. What a
// client makes of an answer is its own time, not Silo's.
type bareClient struct {
	conn *linux.Stream
	buf  [64 << 10]byte
}

func dialBare(socket string) (*bareClient, error) {
	conn, err := linux.DialStream(socket)
	if err != nil {
		return nil, err
	}
	return &bareClient{conn: conn}, nil
}

// post sends a request and gives the body of its answer, chunks as they came;
// it is good until the next one.
func (a *bareClient) post(path, body string) ([]byte, error) {
	req := "POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	if _, err := a.conn.Write([]byte(req)); err != nil {
		return nil, err
	}
	for have := 0; have < len(a.buf); {
		n, err := a.conn.Read(a.buf[have:])
		if err != nil {
			return nil, fmt.Errorf("POST %s: %w", path, err)
		}
		have += n
		if head, rest, whole := answered(a.buf[:have]); whole {
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 2")) {
				return nil, fmt.Errorf("POST %s: %s: %s", path, head[:min(len(head), 40)], rest)
			}
			return rest, nil
		}
	}
	return nil, fmt.Errorf("POST %s: the answer is too long", path)
}

// answered splits an answer, if it is there in full.
func answered(data []byte) (head, body []byte, whole bool) {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return nil, nil, false
	}
	const length = "Content-Length: "
	if i := bytes.Index(head, []byte(length)); i >= 0 {
		text, _, _ := bytes.Cut(head[i+len(length):], []byte("\r\n"))
		n, err := strconv.Atoi(string(text))
		return head, body, err == nil && len(body) >= n
	}
	if bytes.Contains(head, []byte("Transfer-Encoding: chunked")) {
		return head, body, bytes.HasSuffix(body, []byte("0\r\n\r\n"))
	}
	return head, body, true
}
