#include "models/app/start_diagnosis.h"

#include <gtest/gtest.h>

namespace fivefold::models::app {
namespace {

struct Case {
  const char* output;
  int code;
  const char* mend;
};

TEST(StartDiagnosis, KnowsTheUsualFaultsByTheirOutput) {
  config::Program program{.name = "api", .model = config::Model::app};
  const std::string root = "/nonexistent";
  for (const auto& [output, code, mend] : {
           Case{"Error: Cannot find module 'express'\nRequire stack:", 1, "npm install"},
           Case{"Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'fastify' imported from /x", 1, "npm install"},
           Case{"Error: Cannot find module '/srv/api/server.js'", 1, "/srv/api/server.js is not there"},
           Case{"Error: listen EADDRINUSE: address already in use :::3000", 1, "taken by another process"},
           Case{"ModuleNotFoundError: No module named 'flask'", 1, "module flask"},
           Case{"SyntaxError: Unexpected token", 1, "syntax error"},
           Case{"cannot load such file -- sinatra (LoadError)", 1, "gem that has sinatra"},
           Case{"Can't locate Plack/Builder.pm in @INC", 2, "Perl module"},
           Case{"java.lang.UnsupportedClassVersionError: x", 1, "newer Java"},
           Case{"", 127, "not found"},
           Case{"", 0, "foreground"},
       }) {
    process::ExitStatus exit{.code = code};
    EXPECT_NE(
        likely_mend({.program = program, .root = root, .message = "exited", .output = output, .exit = exit}).find(mend),
        std::string::npos)
        << output;
  }
}

TEST(StartDiagnosis, AStartThatTakesTooLongIsToldWhereToListen) {
  config::Program program{.name = "api", .model = config::Model::app};
  const std::string root = "/";
  EXPECT_NE(likely_mend({.program = program, .root = root, .message = "late", .timed_out = true}).find("{socket}"),
            std::string::npos);
  program.app.kind = config::AppKind::node;
  EXPECT_NE(likely_mend({.program = program, .root = root, .message = "late", .timed_out = true}).find("listen()"),
            std::string::npos);
  program.app.ready = config::Ready::notify;
  EXPECT_NE(likely_mend({.program = program, .root = root, .message = "late", .timed_out = true}).find("READY=1"),
            std::string::npos);
}

}  // namespace
}  // namespace fivefold::models::app
