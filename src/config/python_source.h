#pragma once
// What a file of Python says about the application in it, as far as its text shows.
#include <optional>
#include <string>
#include <string_view>

namespace fivefold::config {

struct PythonApplication {
  std::string object;         // "app", "create_app"
  bool asynchronous = false;  // ASGI, not WSGI
  bool factory = false;       // the object is a function that makes it
};

// The application of a known framework that `source` makes at its top: Flask, Bottle, FastAPI, Starlette ...
std::optional<PythonApplication> python_application(std::string_view source);

// The name of the callable in a wsgi.py or asgi.py: "application" unless another is made or imported there.
std::string python_callable(std::string_view source);

// "shop.settings": what DJANGO_SETTINGS_MODULE is set to; empty when it is not.
std::string django_settings(std::string_view source);

}  // namespace fivefold::config
