#pragma once
// One [program.NAME] with model = "cgi", as its requests see it: settings that never change, and the few things that
// they share.
#include <memory>
#include <string>

#include "base/line_file.h"
#include "base/log.h"
#include "config/config.h"
#include "gateway/cgi_environment.h"
#include "models/cgi/script_finder.h"
#include "models/cgi/script_status.h"
#include "process/admission.h"

namespace fivefold::models::cgi {

// Held by the handler and by every process it has started: a reload lets go of the handler while scripts still run.
struct CgiProgram {
  std::uint32_t index;  // its identity for the spawning helpers
  config::Program settings;
  std::string interpreter;       // absolute path of settings.cgi.interpreter[0]; empty: scripts run by themselves
  std::string temporary_folder;  // for request bodies that are too large for memory
  gateway::CgiEnvironment environment;
  ScriptFinder finder;
  std::shared_ptr<process::Admission> admission;
  std::shared_ptr<ScriptStatus> status;
  LineFile& program_log;  // outlives everything here
};

}  // namespace fivefold::models::cgi
