#pragma once
// The files that the server's lines go to. The keeper opens them, with its own rights, and passes the descriptors.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/parcel.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "config/config.h"

namespace fivefold::app {

struct LogFiles {
  UniqueFd access;  // empty: no access log
  UniqueFd server;
  std::map<std::string, UniqueFd> programs;  // by program; a program that is not here writes to the server's log
};

// Opens everything `config` names, appending; a missing folder is made when its own parent is there.
// The error is a sentence with the mend.
Result<LogFiles> open_log_files(const config::Config& config);

nlohmann::json to_json(const LogFiles& files, DescriptorList& fds);
LogFiles log_files_from_json(Parcel& parcel, const nlohmann::json& json);

// The keeper's own lines, in the form of the server's log: "2026-01-02T03:04:05.678Z level message". Each is one
// write(2) that is given up when it would fail: the keeper never waits for a log.
class KeeperLog {
 public:
  // Borrows `fd`; standard error when it is -1.
  void use(int fd) { fd_ = fd; }
  void info(const std::string& message) const { write("info", message); }
  void warn(const std::string& message) const { write("warning", message); }
  void error(const std::string& message) const { write("error", message); }

 private:
  void write(const char* level, const std::string& message) const;
  int fd_ = -1;
};

// "2026-01-02T03:04:05.678Z"
std::string log_time();

}  // namespace fivefold::app
