package fivefold;

import org.apache.catalina.valves.ErrorReportValve;

/** Tomcat's own error page without stack traces and version; both are in the log. An application's error pages come before it. */
public final class QuietErrors extends ErrorReportValve {
  public QuietErrors() {
    setShowReport(false);
    setShowServerInfo(false);
  }
}
