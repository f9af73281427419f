package shop;

import jakarta.servlet.AsyncContext;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Server-sent events by an asynchronous servlet: no thread waits between them. */
@WebServlet(urlPatterns = "/events", asyncSupported = true)
public class Events extends HttpServlet {
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();

  @Override
  protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
    int count = Integer.parseInt(request.getParameter("count"));
    AsyncContext async = request.startAsync();
    async.setTimeout(60_000);
    response.setContentType("text/event-stream;charset=UTF-8");
    send(async, 1, count);
  }

  private void send(AsyncContext async, int number, int count) {
    try {
      PrintWriter writer = async.getResponse().getWriter();
      writer.print("data: event " + number + "\n\n");
      writer.flush();
    } catch (IOException gone) {
      async.complete();
      return;
    }
    if (number == count) async.complete();
    else timer.schedule(() -> send(async, number + 1, count), 100, TimeUnit.MILLISECONDS);
  }

  @Override
  public void destroy() {
    timer.shutdown();
    System.out.println("the events servlet was destroyed");
  }
}
