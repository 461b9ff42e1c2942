package linux

// ReadlinkIn gives where the symbolic link at p leads, as seen from root (see
// OpenIn); the link itself is not followed.
func ReadlinkIn(root *FD, p string) (string, error) { return readlinkIn(root, p) }
