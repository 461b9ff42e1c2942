package main

import "net"

// acceptEach talks to every client of a listener, at most so many at once, and
// closes its connection after that. It ends with the listener's error.
func acceptEach(l net.Listener, most int, talk func(net.Conn)) error {
	places := make(chan struct{}, most)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			defer conn.Close()
			talk(conn)
		}()
	}
}
