#include "models/module/lease_owner.h"

#include <utility>

namespace fivefold::models::module {
namespace {

std::string_view severity_name(int severity) {
  static constexpr std::string_view kNames[] = {"emergency", "alert",  "critical", "error",
                                                "warning",   "notice", "",         "debug"};
  return kNames[severity & 7];
}

}  // namespace

LeaseOwner::LeaseOwner(std::unique_ptr<process::Lease> lease, std::shared_ptr<const ModuleProgram> program,
                       std::string request_id, WorkerLine* line, upstream::WorkerChannel* channel)
    : lease_(std::move(lease)),
      program_(std::move(program)),
      request_id_(std::move(request_id)),
      line_(line),
      channel_(channel) {}

LeaseOwner::~LeaseOwner() {
  if (lines_) lines_->finish();
  if (line_) line_->ended(*channel_, std::move(lease_), goes_on_);
}

void LeaseOwner::died(const Error& error) {
  goes_on_ = false;
  lease_->died(error.message);
}

void LeaseOwner::broke(const Error& error) { program_->status->count_failure(error.message); }

void LeaseOwner::log(int severity, std::string_view text, bool ends) {
  if (!lines_) {
    lines_.emplace(program_->log, program_->settings.name, request_id_);
    lines_->set_pid(lease_->pid());
  }
  if (!std::exchange(within_line_, !ends))
    if (const auto name = severity_name(severity); !name.empty())
      lines_->take(std::string(name) + ": ", net::Clock::now());
  lines_->take(text, net::Clock::now());
  if (ends) lines_->take("\n", net::Clock::now());
}

void LeaseOwner::leaves() {
  goes_on_ = false;
  lease_->leaves();
}

void LeaseOwner::kill(std::string reason) {
  goes_on_ = false;
  lease_->kill(std::move(reason));
}

}  // namespace fivefold::models::module
