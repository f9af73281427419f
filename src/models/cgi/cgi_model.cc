#include "models/cgi/cgi_model.h"

#include <stdlib.h>
#include <unistd.h>

#include "models/cgi/cgi_handler.h"

namespace fivefold::models::cgi {
namespace {

// "php-cgi" → "/usr/bin/php-cgi", along the PATH that the program will have.
std::string find_command(const std::string& command, std::string_view search_path) {
  if (command.find('/') != std::string::npos) return command;
  while (!search_path.empty()) {
    const auto colon = search_path.find(':');
    std::string candidate = std::string(search_path.substr(0, colon)) + "/" + command;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  return "/usr/bin/" + command;  // starting it will say that it is not there
}

std::string search_path_of(const config::Program& program) {
  std::string path(gateway::kDefaultSearchPath);
  for (const auto& [name, value] : program.env)
    if (name == "PATH") path = value;
  return path;
}

}  // namespace

CgiModel make_cgi_model(std::uint32_t index, const config::Program& program, const config::Server& server,
                        std::string document_root, LineFile& program_log, Log& log) {
  const char* temporary = ::secure_getenv("TMPDIR");
  auto admission = std::make_shared<process::Admission>(process::AdmissionLimits{
      .concurrency = program.cgi.concurrency, .queue = program.queue, .queue_timeout = program.queue_timeout});
  auto status = std::make_shared<ScriptStatus>(program.name, admission);
  std::string interpreter = program.cgi.interpreter.empty()
                                ? std::string()
                                : find_command(program.cgi.interpreter.front(), search_path_of(program));
  gateway::CgiSettings settings{.server_name = server.server_name,
                                .document_root = std::move(document_root),
                                .pass_authorization = program.cgi.pass_authorization,
                                .env = program.env};
  auto shared =
      std::shared_ptr<const CgiProgram>(new CgiProgram{.index = index,
                                                       .settings = program,
                                                       .interpreter = std::move(interpreter),
                                                       .temporary_folder = temporary && *temporary ? temporary : "/tmp",
                                                       .environment = gateway::CgiEnvironment(std::move(settings)),
                                                       .finder = ScriptFinder(program.cgi),
                                                       .admission = std::move(admission),
                                                       .status = status,
                                                       .program_log = program_log});
  for (const auto& name : shared->environment.refused())
    log.warn("{}:{}: program {}: env {} is left out: the server computes it for each request", program.position.file,
             program.position.line, program.name, name);
  return {.handler = std::make_shared<CgiHandler>(std::move(shared)), .status = std::move(status)};
}

}  // namespace fivefold::models::cgi
