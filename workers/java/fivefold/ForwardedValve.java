package fivefold;

import jakarta.servlet.ServletException;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * Tells applications who the client is and how it came: getRemoteAddr(), isSecure(), getScheme(), getServerPort().
 *
 * <p>Only the server can connect to the socket. It writes the last address of X-Forwarded-For, the one that counts here; what a client
 * wrote before it stays in the field. Tomcat sets all of these values anew for each request, so nothing is put back.
 */
public final class ForwardedValve extends ValveBase {
  public ForwardedValve() {
    super(true);
  }

  @Override
  public void invoke(Request request, Response response) throws IOException, ServletException {
    String address = last(request.getHeader("X-Forwarded-For"));
    if (address == null) address = "127.0.0.1";
    request.setRemoteAddr(address);
    request.setRemoteHost(address);
    String scheme = last(request.getHeader("X-Forwarded-Proto"));
    if ("https".equalsIgnoreCase(scheme)) {
      request.setSecure(true);
      request.getCoyoteRequest().scheme().setString("https");
      if (!namesPort(request.getHeader("Host"))) request.setServerPort(443);
    }
    getNext().invoke(request, response);
  }

  private static String last(String list) {
    if (list == null) return null;
    String value = list.substring(list.lastIndexOf(',') + 1).trim();
    return value.isEmpty() ? null : value;
  }

  private static boolean namesPort(String host) {
    return host != null && host.lastIndexOf(':') > host.lastIndexOf(']');
  }
}
