package fivefold;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardHost;
import org.apache.catalina.session.StandardManager;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.modeler.Registry;
import org.apache.tomcat.util.scan.StandardJarScanner;

/**
 * Runs web applications (WAR files or exploded folders) in an embedded Tomcat that listens where the server tells it to.
 *
 * <p>{@code java -cp launcher.jar fivefold.Launcher --socket PATH --context /=shop.war [--context /x=folder]}
 *
 * <p>The connector opens only when every context has started, so that whoever can connect can be served. A context that fails makes the
 * process end with status 1; what failed is on standard error.
 */
public final class Launcher {
  /** As many requests may wait in the socket's queue; the server never sends more than its own queue holds. */
  private static final int ACCEPT_COUNT = 1024;
  /** Longest request head. The server has its own limit, which it applies first. */
  private static final int HEAD_SIZE = 128 * 1024;
  /** How long running requests may take when the process is told to stop; the server ends it earlier if its grace is shorter. */
  private static final long STOP_MILLISECONDS = 60_000;

  private final Arguments arguments;
  private final WorkFolder work;
  private final Tomcat tomcat = new Tomcat();
  private final List<Context> contexts = new ArrayList<>();
  private final RunningRequests running = new RunningRequests();

  private Launcher(Arguments arguments, WorkFolder work) {
    this.arguments = arguments;
    this.work = work;
  }

  public static void main(String[] words) {
    Arguments arguments;
    try {
      arguments = Arguments.parse(words);
    } catch (IllegalArgumentException mistake) {
      System.err.println("fivefold.Launcher: " + mistake.getMessage());
      System.exit(2);
      return;
    }
    String temporary = System.getenv("TMPDIR");
    if (temporary != null && !temporary.isEmpty()) System.setProperty("java.io.tmpdir", temporary);
    LogLines.install();
    WorkFolder work = null;
    try {
      work = WorkFolder.create(Path.of(System.getProperty("java.io.tmpdir")));
      Launcher launcher = new Launcher(arguments, work);
      launcher.start();
      Runtime.getRuntime().addShutdownHook(new Thread(launcher::stop, "fivefold-stop"));
    } catch (Exception | LinkageError failure) {
      say("the application could not be started: " + causes(failure));
      if (work != null) work.remove();
      System.exit(1);
    }
  }

  private void start() throws IOException, LifecycleException {
    Registry.disableRegistry();
    tomcat.setBaseDir(work.path().toString());
    tomcat.setSilent(true);
    tomcat.enableNaming();
    tomcat.getEngine().setBackgroundProcessorDelay(10);
    StandardHost host = (StandardHost) tomcat.getHost();
    Files.createDirectories(host.getAppBaseFile().toPath());
    host.setErrorReportValveClass(QuietErrors.class.getName());
    host.getPipeline().addValve(running);
    host.getPipeline().addValve(new ForwardedValve());
    for (Arguments.Place place : arguments.contexts()) add(place);
    tomcat.start();
    for (int index = 0; index < contexts.size(); ++index) {
      if (!contexts.get(index).getState().isAvailable()) {
        throw new LifecycleException(arguments.contexts().get(index).source() + " did not start; the reason is above");
      }
    }
    open();
    tellReady();
  }

  private void add(Arguments.Place place) throws IOException {
    Path source = Path.of(place.source()).toAbsolutePath().normalize();
    if (!Files.exists(source)) throw new IOException(source + " is not there");
    if (!Files.isReadable(source)) throw new IOException(source + " may not be read by this user");
    Context context = tomcat.addWebapp(place.path(), source.toString());
    // The server's own jars have neither fragments nor tag libraries.
    StandardJarScanner scanner = new StandardJarScanner();
    scanner.setScanClassPath(false);
    context.setJarScanner(scanner);
    // Sessions live in memory and end with the process.
    StandardManager sessions = new StandardManager();
    sessions.setPathname("");
    context.setManager(sessions);
    contexts.add(context);
  }

  private void open() throws IOException, LifecycleException {
    Connector connector = new Connector("org.apache.coyote.http11.Http11NioProtocol");
    if (arguments.socket() != null) {
      Files.deleteIfExists(Path.of(arguments.socket()));
      connector.setProperty("unixDomainSocketPath", arguments.socket());
      connector.setProperty("unixDomainSocketPathPermissions", "rw-rw-rw-");
      // The folder is the server's, which decides who may come to it; newer Tomcats would refuse one that others may write to.
      connector.setProperty("unixDomainSocketParentPermissions", "");
    } else {
      connector.setPort(arguments.port());
      connector.setProperty("address", "127.0.0.1");
    }
    connector.setProperty("acceptCount", String.valueOf(ACCEPT_COUNT));
    connector.setProperty("maxHttpRequestHeaderSize", String.valueOf(HEAD_SIZE));
    connector.setProperty("maxKeepAliveRequests", "-1");
    connector.setProperty("maxThreads", System.getProperty("fivefold.threads", "200"));
    connector.setProperty("maxParameterCount", System.getProperty("fivefold.parameters", "10000"));
    connector.setMaxPostSize(Integer.getInteger("fivefold.form_size", connector.getMaxPostSize()));
    connector.setProperty("connectionTimeout", "60000");
    connector.setProperty("bindOnInit", "false");  // so that closing it before the requests have ended is possible
    connector.setThrowOnFailure(true);
    tomcat.setConnector(connector);
    if (!connector.getState().isAvailable()) throw new LifecycleException("the socket could not be opened; the reason is above");
  }

  private static void tellReady() throws IOException {
    String file = System.getenv("FIVEFOLD_READY_FILE");
    if (file != null && "notify".equals(System.getenv("FIVEFOLD_READY"))) Files.writeString(Path.of(file), "");
  }

  private void stop() {
    try {
      tomcat.getConnector().getProtocolHandler().closeServerSocketGraceful();
      running.awaitNone(STOP_MILLISECONDS);
      tomcat.stop();
      tomcat.destroy();
    } catch (LifecycleException failure) {
      say("the application did not stop in order: " + causes(failure));
    }
    work.remove();
  }

  static void say(String text) {
    System.err.println("fivefold: " + text);
  }

  private static String causes(Throwable failure) {
    StringBuilder text = new StringBuilder();
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      String message = cause instanceof LifecycleException || cause instanceof IOException ? cause.getMessage() : cause.toString();
      if (message == null) message = cause.toString();
      if (text.indexOf(message) >= 0) continue;
      if (text.length() > 0) text.append(": ");
      text.append(message);
    }
    return text.toString();
  }
}
