#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "app/commands.h"
#include "app/source.h"
#include "base/text.h"

namespace fivefold::app {
namespace {

constexpr const char* kCommands[] = {"serve",   "run",    "check",   "status", "top",     "logs",
                                     "metrics", "reload", "restart", "stop",   "version", "help"};

constexpr const char* kExamples = R"(
Examples:
  fivefold serve site/                     a folder, without a configuration: http://127.0.0.1:8080
  fivefold serve . --listen 0.0.0.0:3000   the same for everybody on the network, on another port
  fivefold check fivefold.toml             every fault of a configuration at once
  fivefold run --config fivefold.toml      the configured server
  fivefold reload                          take a changed configuration over, without a broken connection
  fivefold status                          what the running server does
  fivefold logs scripts -f                 what the program "scripts" says, as it says it

`fivefold COMMAND --help` tells more of each. Manual: fivefold(1), fivefold.toml(5).)";

void add_target(CLI::App& command, Target& target) {
  command.add_option("--control", target.control, "The running server's control socket")->type_name("PATH");
  command.add_option("--config,-c", target.config, "The configuration that names the control socket")
      ->type_name("FILE");
}

}  // namespace

std::string nearest_command(std::string_view word) {
  std::string nearest;
  std::size_t best = 3;  // further away it is another word
  for (const char* command : kCommands) {
    const auto distance = edit_distance(word, command);
    if (distance < best && distance < std::string_view(command).size()) {
      best = distance;
      nearest = command;
    }
  }
  return nearest;
}

int run_command_line(int argc, char** argv) {
  if (argc >= 2 && argv[1][0] != '-') {
    const std::string word = argv[1];
    if (std::find(std::begin(kCommands), std::end(kCommands), word) == std::end(kCommands)) {
      std::cerr << "fivefold: there is no command \"" << printable(word) << '"';
      if (const auto nearest = nearest_command(word); !nearest.empty())
        std::cerr << "; did you mean \"" << nearest << "\"?";
      std::cerr << "\nThe commands are:";
      for (const char* command : kCommands) std::cerr << ' ' << command;
      std::cerr << ".\n";
      return 2;
    }
  }
  CLI::App app("Fivefold: one web server that runs code in every way a web server can.", "fivefold");
  app.footer(kExamples);
  app.require_subcommand(0, 1);
  bool version = false;
  app.add_flag("--version,-V", version, "Print the version");

  std::string directory = ".";
  std::vector<std::string> listen;
  auto& serve = *app.add_subcommand("serve", "Serve a folder without a configuration: each file runs by its kind");
  serve.add_option("DIR", directory, "The folder; a fivefold.toml in it is used as it stands")->capture_default_str();
  serve.add_option("--listen,-l", listen, "HOST:PORT or unix:PATH, repeatable; 127.0.0.1:8080 when left out")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  std::vector<std::uint16_t> ports;
  serve.add_option("--port,-p", ports, "The same as --listen 127.0.0.1:PORT")
      ->type_name("PORT")
      ->allow_extra_args(false);
  serve.footer(
      "\ncgi-bin/* and *.cgi run as CGI programs, everything else is a file. What was found is printed "
      "first.\n\nExample: fivefold serve site/ --listen 127.0.0.1:3000 --listen unix:/tmp/site.sock");

  std::string config;
  auto& run = *app.add_subcommand("run", "Run the configured server");
  run.add_option("--config,-c", config,
                 "The configuration; ./fivefold.toml or /etc/fivefold/fivefold.toml when left out")
      ->type_name("FILE");
  run.footer(
      "\nSignals: HUP reads the configuration again, USR1 opens the logs again, TERM and INT finish requests and stop, "
      "a second one stops at once.\n\nExample: fivefold run --config site.toml");

  std::string checked;
  auto& check = *app.add_subcommand("check", "Tell every fault of a configuration, with its place and a mend");
  check.add_option("FILE,--config,-c", checked, "A configuration, or a folder as for `serve`")->type_name("FILE");
  check.footer(
      "\nThe exit status is 1 when there is an error; warnings alone are no error.\n\nExample: fivefold check "
      "fivefold.toml && fivefold reload");

  Target target;
  bool json = false;
  auto& status = *app.add_subcommand(
      "status", "Tell what the running server does: connections, requests, programs and their processes");
  add_target(status, target);
  status.add_flag("--json", json, "As JSON, for programs");
  status.footer("\nExample: fivefold status --json | jq '.programs[] | {name, running}'");

  auto& top = *app.add_subcommand("top", "The same, live; q or Ctrl-C ends it");
  add_target(top, target);

  LogsOptions logs_options;
  auto& logs = *app.add_subcommand("logs", "Show the server's log, or a program's");
  logs.add_option("PROGRAM", logs_options.program,
                  "A program of the configuration; the server's own log when left out");
  logs.add_flag("--access", logs_options.access, "The access log");
  logs.add_flag("--follow,-f", logs_options.follow, "Go on with new lines as they come");
  logs.add_option("--lines,-n", logs_options.lines, "How many lines from the end")
      ->capture_default_str()
      ->check(CLI::Range(0u, 1000000u));
  logs.add_flag("--reopen", logs_options.reopen,
                "Have the server open its logs again, after they were moved (as SIGUSR1)");
  add_target(logs, target);
  logs.footer("\nExample: fivefold logs scripts -f -n 100");

  auto& metrics = *app.add_subcommand("metrics", "Print the metrics for Prometheus");
  add_target(metrics, target);

  auto& reload = *app.add_subcommand("reload", "Have the running server read its configuration again");
  add_target(reload, target);
  reload.footer("\nThe new configuration is checked whole: a bad one changes nothing and its faults are printed.");
  auto& restart = *app.add_subcommand(
      "restart", "Replace the server process, or one program's instances, without a refused connection");
  std::string restarted;
  restart.add_option("program", restarted, "A program: only its instances are replaced, one by one");
  add_target(restart, target);
  restart.footer(
      "\nWithout a program: reads the configuration again as reload does, and applies [server] threads and user\n"
      "too; applications go on. With one: each new instance is ready before an old one ends.\n\n"
      "Example: fivefold restart shop");
  auto& stop = *app.add_subcommand("stop", "Finish requests in flight, then stop");
  add_target(stop, target);
  auto& version_command = *app.add_subcommand("version", "Print the version");
  auto& help = *app.add_subcommand("help", "Print this");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << "fivefold: " << error.what() << "\nRun `fivefold "
              << (argc >= 2 && argv[1][0] != '-' ? std::string(argv[1]) + " " : "") << "--help` for the options.\n";
    return 2;
  }
  if (version || version_command) {
    std::cout << "fivefold " FIVEFOLD_VERSION "\n";
    return 0;
  }
  if (help) {
    std::cout << app.help();
    return 0;
  }
  if (serve) {
    for (const auto port : ports) listen.push_back("127.0.0.1:" + std::to_string(port));
    return serve_command(directory, listen);
  }
  if (run) return run_command(config.empty() ? default_config_path() : config);
  if (check) return check_command(checked.empty() ? default_config_path() : checked);
  if (status) return status_command(target, json);
  if (top) return top_command(target);
  if (logs) return logs_command(target, logs_options);
  if (metrics) return metrics_command(target);
  if (reload) return tell_command(target, "reload");
  if (restart) return tell_command(target, "restart", restarted);
  if (stop) return tell_command(target, "stop");
  std::cerr << app.help();
  return 2;
}

}  // namespace fivefold::app
