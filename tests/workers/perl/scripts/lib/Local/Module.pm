package Local::Module;
sub hello { return "hello from a module" }
1;
