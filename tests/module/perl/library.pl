sub library_name { return 'library of ' . (caller)[1] =~ s{.*/}{}r }
'true value';
