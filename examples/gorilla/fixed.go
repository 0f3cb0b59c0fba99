// The stream of server.go, with its dead clients noticed.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const (
	pongWait   = 30 * time.Second // a client that answers nothing for so long is dead
	pingPeriod = 10 * time.Second
)

var (
	upgrader = websocket.Upgrader{}
	address  = flag.String("address", "", "HOST:PORT to listen on")
)

// end resets the connection, which also wakes a blocked write. Without SetLinger the kernel would keep its queued bytes.
func end(conn *websocket.Conn) {
	if tcp, ok := conn.UnderlyingConn().(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

func read(conn *websocket.Conn) {
	defer end(conn)
	conn.SetReadDeadline(time.Now().Add(pongWait))
	conn.SetPongHandler(func(string) error {
		return conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// No write deadline: a slow client may block a write for minutes, and after a deadline the connection is lost.
func stream(conn *websocket.Conn) {
	defer end(conn)
	slices := time.NewTicker(50 * time.Millisecond)
	defer slices.Stop()
	pings := time.NewTicker(pingPeriod)
	defer pings.Stop()
	slice := make([]byte, 32*1024)
	for {
		select {
		case <-slices.C:
			if err := conn.WriteMessage(websocket.BinaryMessage, slice); err != nil {
				return
			}
		case <-pings.C:
		}
		// A ping behind each message, so that a slow reader answers as it reads; and now and then without one.
		if err := conn.WriteMessage(websocket.PingMessage, nil); err != nil {
			return
		}
	}
}

func session(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	go stream(conn)
	read(conn)
}

func main() {
	flag.Parse()
	http.HandleFunc("/", session)
	log.Fatal(http.ListenAndServe(*address, nil))
}
