package fivefold;

import java.util.ArrayList;
import java.util.List;

/** The command line of the launcher: where to listen, and what to run under which path. */
record Arguments(String socket, int port, List<Place> contexts) {
  /** A web application: its context path ("" for the root, else "/name") and the WAR file or folder it is in. */
  record Place(String path, String source) {}

  static Arguments parse(String[] words) {
    String socket = null;
    int port = -1;
    List<Place> contexts = new ArrayList<>();
    for (int index = 0; index < words.length; index += 2) {
      if (index + 1 == words.length) throw new IllegalArgumentException(words[index] + " needs a value");
      String value = words[index + 1];
      switch (words[index]) {
        case "--socket" -> socket = value;
        case "--port" -> port = number(value);
        case "--context" -> contexts.add(place(value));
        default -> throw new IllegalArgumentException("unknown word " + words[index] + "; known are --socket PATH, --port N and --context /PATH=WAR");
      }
    }
    if ((socket == null) == (port < 0)) throw new IllegalArgumentException("either --socket PATH or --port N says where to listen");
    if (contexts.isEmpty()) throw new IllegalArgumentException("--context /PATH=WAR says what to run");
    if (contexts.stream().map(Place::path).distinct().count() != contexts.size()) {
      throw new IllegalArgumentException("two applications have the same context path");
    }
    return new Arguments(socket, port, List.copyOf(contexts));
  }

  private static int number(String value) {
    try {
      int number = Integer.parseInt(value);
      if (number >= 0 && number <= 65535) return number;
    } catch (NumberFormatException notOne) {
      // said below
    }
    throw new IllegalArgumentException("--port takes a number from 0 to 65535, not " + value);
  }

  private static Place place(String value) {
    int equals = value.indexOf('=');
    if (equals <= 0 || !value.startsWith("/") || equals + 1 == value.length()) {
      throw new IllegalArgumentException("--context takes /PATH=WAR, not " + value);
    }
    String path = value.substring(0, equals);
    while (path.endsWith("/")) path = path.substring(0, path.length() - 1);
    return new Place(path, value.substring(equals + 1));
  }
}
