package fivefold;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * Where WAR files are unpacked and JSPs are compiled: a folder of this process alone, removed at its end. The process holds a lock on a
 * file in it, so that the next one that starts can tell, and remove, a folder whose process was killed.
 */
final class WorkFolder {
  private static final String PREFIX = "fivefold-servlet-";
  private static final String LOCK = "lock";

  private final Path path;
  private final FileChannel lock;  // open as long as the folder is in use

  private WorkFolder(Path path, FileChannel lock) {
    this.path = path;
    this.lock = lock;
  }

  static WorkFolder create(Path parent) throws IOException {
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(parent, PREFIX + "*")) {
      for (Path folder : folders) removeAbandoned(folder);
    }
    Path path = Files.createTempDirectory(parent, PREFIX).toRealPath();
    FileChannel lock = FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    lock.lock();
    return new WorkFolder(path, lock);
  }

  Path path() {
    return path;
  }

  private static void removeAbandoned(Path folder) {
    // Another user's folder cannot be opened for writing, and a link is nobody's work folder.
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) return;
    try (FileChannel channel = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
        FileLock held = channel.tryLock()) {
      if (held != null) new WorkFolder(folder, channel).remove();
    } catch (IOException | OverlappingFileLockException inUse) {
      // Somebody else's: it stays.
    }
  }

  /** Removes what can be removed; symbolic links are not followed. */
  void remove() {
    try {
      Files.walkFileTree(path, new SimpleFileVisitor<>() {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
          Files.deleteIfExists(file);
          return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, IOException failure) throws IOException {
          Files.deleteIfExists(folder);
          return FileVisitResult.CONTINUE;
        }
      });
      lock.close();
    } catch (IOException failure) {
      Launcher.say("the folder " + path + " could not be removed: " + failure.getMessage());
    }
  }
}
