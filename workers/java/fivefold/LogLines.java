package fivefold;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/** java.util.logging on standard error, a line a message; the server adds the time. A configuration of the operator's own is kept. */
final class LogLines extends Handler {
  // Loggers are held weakly by their manager; a level is kept only while somebody keeps the logger.
  private static List<Logger> kept = List.of();

  private final Formatter texts = new SimpleFormatter();

  static void install() {
    if (System.getProperty("java.util.logging.config.file") != null || System.getProperty("java.util.logging.config.class") != null) return;
    Logger root = Logger.getLogger("");
    for (Handler handler : root.getHandlers()) root.removeHandler(handler);
    root.addHandler(new LogLines());
    // What the container says of its own starting; what it logs for applications is under org.apache.catalina.core.ContainerBase.
    kept = List.of(Logger.getLogger("org.apache.coyote"), Logger.getLogger("org.apache.catalina.startup"),
        Logger.getLogger("org.apache.catalina.core.StandardService"), Logger.getLogger("org.apache.catalina.core.StandardEngine"),
        Logger.getLogger("org.apache.catalina.util"), Logger.getLogger("org.apache.jasper.servlet.TldScanner"));
    for (Logger logger : kept) logger.setLevel(Level.WARNING);
  }

  @Override
  public void publish(LogRecord entry) {
    if (!isLoggable(entry)) return;
    StringWriter text = new StringWriter();
    text.append(entry.getLevel().getName()).append(' ').append(texts.formatMessage(entry)).append('\n');
    if (entry.getThrown() != null) entry.getThrown().printStackTrace(new PrintWriter(text, true));
    System.err.print(text);
  }

  @Override
  public void flush() {
    System.err.flush();
  }

  @Override
  public void close() {}
}
