#pragma once
// The server process's lines: the files the keeper passed, each with a writer of its own.
#include <map>
#include <memory>
#include <string>

#include "app/keeper/log_files.h"
#include "base/line_file.h"
#include "base/log.h"
#include "config/config.h"

namespace fivefold::app {

// Lives as long as the server process: handlers of older configurations still write here. Used from the main loop only
// (the files themselves are for any thread).
class ServerLogs {
 public:
  ServerLogs(LogFiles files, const std::string& level);

  // Log rotation and reloads: lines go to the new files from here on.
  void reopen(LogFiles files);
  void set_level(const std::string& level);

  Log& log() { return *log_; }
  LineFile* access() { return access_.get(); }  // null when there is none
  // Its own file, or the server's log.
  LineFile& program(const std::string& name);
  void flush();

  // Tells the server's log, once each time, of a log that cannot be written and of one that can be again.
  void report_failures();

 private:
  void report(const std::string& name, LineFile& file);
  std::map<LineFile*, int> failing_;  // as last reported
  std::unique_ptr<LineFile> server_;
  std::unique_ptr<LineFile> access_;
  std::map<std::string, std::unique_ptr<LineFile>> programs_;
  std::shared_ptr<Log> log_;
};

}  // namespace fivefold::app
