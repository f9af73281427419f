package shop;

import jakarta.websocket.OnMessage;
import jakarta.websocket.server.ServerEndpoint;

@ServerEndpoint("/echo")
public class Echo {
  @OnMessage(maxMessageSize = 1 << 20)
  public String text(String message) {
    return "echo " + message;
  }
}
