#pragma once
// The command of an application: its words, and the places in them that are filled in when an instance is started.
#include <string>
#include <string_view>
#include <vector>

namespace fivefold::config {

// What "{socket}", "{port}", "{host}" and "{root}" in a word stand for.
struct Placeholders {
  std::string socket;  // path of the socket where the instance is to listen
  std::string port;    // a free port of the loopback address
  std::string host;    // "127.0.0.1"
  std::string root;    // the application's folder
};

// `word` with its placeholders filled in. "${port}" is a shell's, and what is none of the four stays as it is.
std::string fill_placeholders(std::string_view word, const Placeholders& values);

// Whether `word` has "{name}".
bool has_placeholder(std::string_view word, std::string_view name);

// Names in braces that are none of the four, in their order: "sock" of "unix:{sock}".
std::vector<std::string_view> unknown_placeholders(std::string_view word);

// Whether what the command starts is, or ends in, a Node.js process: node, npm, npx, pnpm, yarn and the like as its
// first word, after "env NAME=value", or as the first word of what "sh -c" gets.
bool starts_node(const std::vector<std::string>& command);

// "sh -c": the last word is a text that a shell reads.
bool is_shell_command(const std::vector<std::string>& command);

}  // namespace fivefold::config
