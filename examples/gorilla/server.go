// A stream over gorilla/websocket (https://pkg.go.dev/github.com/gorilla/websocket): no deadlines, or with -deadlines those
// of the library's chat example.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// The figures of https://github.com/gorilla/websocket/blob/v1.5.0/examples/chat/client.go.
const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = (pongWait * 9) / 10
)

var (
	upgrader  = websocket.Upgrader{}
	deadlines = flag.Bool("deadlines", false, "use the deadlines of the chat example")
	address   = flag.String("address", "", "HOST:PORT to listen on")
)

func read(conn *websocket.Conn) {
	defer conn.Close()
	if *deadlines {
		conn.SetReadDeadline(time.Now().Add(pongWait))
		conn.SetPongHandler(func(string) error {
			return conn.SetReadDeadline(time.Now().Add(pongWait))
		})
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

func stream(conn *websocket.Conn) {
	defer conn.Close()
	slices := time.NewTicker(50 * time.Millisecond)
	defer slices.Stop()
	pings := time.NewTicker(pingPeriod)
	defer pings.Stop()
	slice := make([]byte, 32*1024)
	for {
		kind, data := websocket.BinaryMessage, slice
		select {
		case <-slices.C:
		case <-pings.C:
			if !*deadlines {
				continue
			}
			kind, data = websocket.PingMessage, nil
		}
		if *deadlines {
			conn.SetWriteDeadline(time.Now().Add(writeWait))
		}
		if err := conn.WriteMessage(kind, data); err != nil {
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
