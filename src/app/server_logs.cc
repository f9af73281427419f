#include "app/server_logs.h"

#include "base/error.h"

namespace fivefold::app {

ServerLogs::ServerLogs(LogFiles files, const std::string& level)
    : server_(std::make_unique<LineFile>(std::move(files.server))) {
  if (files.access) access_ = std::make_unique<LineFile>(std::move(files.access));
  for (auto& [name, fd] : files.programs) programs_.emplace(name, std::make_unique<LineFile>(std::move(fd)));
  log_ = make_log(*server_, level);
}

void ServerLogs::reopen(LogFiles files) {
  if (files.server) server_->reopen(std::move(files.server));
  if (files.access && access_) access_->reopen(std::move(files.access));
  for (auto& [name, fd] : files.programs) {
    const auto known = programs_.find(name);
    if (known != programs_.end())
      known->second->reopen(std::move(fd));
    else
      programs_.emplace(name, std::make_unique<LineFile>(std::move(fd)));
  }
}

void ServerLogs::set_level(const std::string& level) {
  log_->set_level(level == "warning" ? spdlog::level::warn
                  : level == "error" ? spdlog::level::err
                                     : spdlog::level::from_str(level));
}

LineFile& ServerLogs::program(const std::string& name) {
  const auto own = programs_.find(name);
  return own == programs_.end() ? *server_ : *own->second;
}

void ServerLogs::flush() {
  server_->flush();
  if (access_) access_->flush();
  for (auto& [name, file] : programs_) file->flush();
}

void ServerLogs::report(const std::string& name, LineFile& file) {
  const int now = file.failing();
  int& before = failing_[&file];
  if (now != 0 && before == 0)
    log_->error(
        "{} cannot be written: {}; its lines are kept in memory up to {} MB, then dropped. Free some space, then "
        "nothing more needs to be done",
        name, errno_text(now), LineFile::kBufferLimit / (1024 * 1024));
  if (now == 0 && before != 0)
    log_->info("{} can be written again; {} lines were dropped so far", name, file.dropped());
  before = now;
}

void ServerLogs::report_failures() {
  report("the server's log", *server_);
  if (access_) report("the access log", *access_);
  for (auto& [name, file] : programs_) report("the log of program " + name, *file);
}

}  // namespace fivefold::app
