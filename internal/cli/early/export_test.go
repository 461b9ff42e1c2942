package early

// Request gives what is sent for a command line, the program's name first, if
// it is answered early. height and width are the terminal's.
func Request(args []string, height, width int) (request []byte, ok bool) {
	var c command
	var body, all buffer
	if !c.parse(args) {
		return nil, false
	}
	if c.asks() {
		c.question(&all)
		return all.bytes(), !all.full
	}
	c.body(&body, size{height, width})
	c.head(&all, body.n)
	all.add(string(body.bytes()))
	return all.bytes(), !body.full && !all.full
}
