// Go's x/crypto/ssh through Bartizan, with pkg/sftp for files: client jump|name PORT KEY LOGIN KNOWN_HOSTS ACTION ….
// Host keys and host certificates are verified by the given file. Exits with 0 when the action did all it
// should; see `Library` in `tools.rs`.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func exits7(err error) {
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		log.Fatalf("exit status: %v", err)
	}
}

func connect() *ssh.Client {
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
	if way == "name" {
		client, err := ssh.Dial("tcp", address, config(login+"@web-1"))
		check(err)
		return client
	}
	outer, err := ssh.Dial("tcp", address, config("alice"))
	check(err)
	through, err := outer.Dial("tcp", "web-1:22")
	check(err)
	connection, channels, requests, err := ssh.NewClientConn(through, "web-1:22", config(login))
	check(err)
	return ssh.NewClient(connection, channels, requests)
}

func shell(client *ssh.Client, typed string) {
	session, err := client.NewSession()
	check(err)
	check(session.RequestPty("xterm", 24, 80, ssh.TerminalModes{}))
	session.Stdin, session.Stdout = strings.NewReader(typed), os.Stdout
	check(session.Shell())
	exits7(session.Wait())
}

func execute(client *ssh.Client, command string) {
	session, err := client.NewSession()
	check(err)
	var out, errors bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader("in\n"), &out, &errors
	exits7(session.Run(command))
	if out.String() != "in\nhi\n" || errors.String() != "no\n" {
		log.Fatalf("%q, %q", out.String(), errors.String())
	}
}

func upload(client *ssh.Client, near, far string) {
	files, err := sftp.NewClient(client)
	check(err)
	from, err := os.Open(near)
	check(err)
	to, err := files.Create(far)
	check(err)
	_, err = to.ReadFrom(from)
	check(err)
	check(to.Close())
}

func download(client *ssh.Client, far, near string) {
	files, err := sftp.NewClient(client)
	check(err)
	from, err := files.Open(far)
	check(err)
	to, err := os.Create(near)
	check(err)
	_, err = from.WriteTo(to)
	check(err)
	check(from.Close())
	check(to.Close())
}

func forward(client *ssh.Client, to string) {
	stream, err := client.Dial("tcp", net.JoinHostPort("127.0.0.1", to))
	check(err)
	_, err = stream.Write([]byte("hello!"))
	check(err)
	answer, err := io.ReadAll(stream)
	check(err)
	fmt.Print(string(answer))
	check(stream.Close())
}

// tiny sends bytes one by one, each in a packet of its own, without waiting for anything. It tells how many, as it goes.
func tiny(client *ssh.Client, command, count string) {
	session, err := client.NewSession()
	check(err)
	in, err := session.StdinPipe()
	check(err)
	session.Stdout = os.Stdout
	check(session.Start(command))
	total, err := strconv.Atoi(count)
	check(err)
	for n := 1; n <= total; n++ {
		_, err = in.Write([]byte("x"))
		check(err)
		if n%4096 == 0 {
			fmt.Fprintln(os.Stderr, n)
		}
	}
	check(in.Close())
	exits7(session.Wait())
}

func main() {
	log.SetFlags(log.Lshortfile)
	client, words := connect(), os.Args[7:]
	switch os.Args[6] {
	case "shell":
		shell(client, words[0])
	case "exec":
		execute(client, words[0])
	case "upload":
		upload(client, words[0], words[1])
	case "download":
		download(client, words[0], words[1])
	case "forward":
		forward(client, words[0])
	case "tiny":
		tiny(client, words[0], words[1])
	}
	check(client.Close())
}
