package fivefold;

import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.ServletException;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/** Counts the requests that run, asynchronous ones until they are complete, so that the end of the process can wait for them. */
final class RunningRequests extends ValveBase {
  private int count;

  RunningRequests() {
    super(true);
  }

  @Override
  public void invoke(Request request, Response response) throws IOException, ServletException {
    // Later dispatches of an asynchronous request are the same request.
    if (request.isAsyncDispatching()) {
      getNext().invoke(request, response);
      return;
    }
    begin();
    boolean goesOn = false;
    try {
      getNext().invoke(request, response);
      goesOn = request.isAsyncStarted() && watch(request);
    } finally {
      if (!goesOn) end();
    }
  }

  private boolean watch(Request request) {
    try {
      request.getAsyncContext().addListener(new Completion());
      return true;
    } catch (IllegalStateException completeMeanwhile) {
      return false;
    }
  }

  private synchronized void begin() {
    ++count;
  }

  private synchronized void end() {
    --count;
    notifyAll();
  }

  /** Waits until none runs, at most so long. */
  synchronized void awaitNone(long milliseconds) {
    long stop = System.nanoTime() + milliseconds * 1_000_000;
    try {
      while (count > 0) {
        long left = (stop - System.nanoTime()) / 1_000_000;
        if (left <= 0) return;
        wait(left);
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private final class Completion implements AsyncListener {
    @Override
    public void onComplete(AsyncEvent event) {
      end();
    }

    @Override
    public void onTimeout(AsyncEvent event) {}

    @Override
    public void onError(AsyncEvent event) {}

    @Override
    public void onStartAsync(AsyncEvent event) {
      // Listeners are dropped when asynchronous processing starts again (Servlet 6.0, AsyncContext.addListener).
      event.getAsyncContext().addListener(this);
    }
  }
}
