#pragma once
// The CGI model: [program.NAME] with model = "cgi" becomes a handler that starts a process for each request.
#include <memory>
#include <vector>

#include "base/line_file.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "exchange/program_status.h"

namespace fivefold::models::cgi {

struct CgiModel {
  std::shared_ptr<exchange::Handler> handler;
  std::shared_ptr<exchange::StatusSource> status;
};

// `index` is the program's place in config.programs, its identity for the spawning helpers. `program_log` takes the
// program's stderr, a line at a time, and outlives the handler. `document_root` is DOCUMENT_ROOT and what
// PATH_TRANSLATED is taken from: the first files route's folder, or the program's own root.
CgiModel make_cgi_model(std::uint32_t index, const config::Program& program, const config::Server& server,
                        std::string document_root, LineFile& program_log, Log& log);

}  // namespace fivefold::models::cgi
