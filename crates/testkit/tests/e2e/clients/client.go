// Go's x/crypto/ssh through Bartizan: client jump|name PORT KEY LOGIN KNOWN_HOSTS.
// Host keys and host certificates are verified by the given file.
package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(log.Lshortfile)
	way, port, keyfile, login, known := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	pem, err := os.ReadFile(keyfile)
	check(err)
	signer, err := ssh.ParsePrivateKey(pem)
	check(err)
	hosts, err := knownhosts.New(known)
	check(err)
	config := func(user string) *ssh.ClientConfig {
		return &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: hosts}
	}
	address := net.JoinHostPort("127.0.0.1", port)

	var client *ssh.Client
	if way == "jump" {
		outer, err := ssh.Dial("tcp", address, config("alice"))
		check(err)
		through, err := outer.Dial("tcp", "web-1:22")
		check(err)
		connection, channels, requests, err := ssh.NewClientConn(through, "web-1:22", config(login))
		check(err)
		client = ssh.NewClient(connection, channels, requests)
	} else {
		client, err = ssh.Dial("tcp", address, config(login+"@web-1"))
		check(err)
	}

	session, err := client.NewSession()
	check(err)
	sent := make([]byte, 3000000)
	_, err = rand.Read(sent)
	check(err)
	var out, errors_ bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(sent), &out, &errors_
	err = session.Run("cat; echo no >&2; exit 7")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		log.Fatalf("exit status: %v", err)
	}
	if !bytes.Equal(out.Bytes(), sent) || errors_.String() != "no\n" {
		log.Fatalf("%d of %d bytes, %q", out.Len(), len(sent), errors_.String())
	}

	session, err = client.NewSession()
	check(err)
	check(session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}))
	text, err := session.Output("stty size")
	check(err)
	if !bytes.Contains(text, []byte("24 80")) {
		log.Fatalf("terminal: %q", text)
	}
	check(client.Close())
}
