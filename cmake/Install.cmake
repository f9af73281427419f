# `cmake --install build` puts the server, its manual pages and the systemd units under the prefix; `ninja -C build package` makes a Debian
# package, which adds the default configuration, the log rotation and the maintainer scripts.
if(NOT TARGET fivefold)
  return()
endif()

install(TARGETS fivefold RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT server)
install(FILES packaging/fivefold.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT server)
install(FILES packaging/fivefold.toml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT server)
install(FILES README.md packaging/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/fivefold COMPONENT server)

# The units name /usr/bin/fivefold and the scripts speak to dpkg: they belong to the package alone.
set(package_files COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES packaging/fivefold.service DESTINATION /lib/systemd/system ${package_files})
install(FILES packaging/fivefold.socket DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/fivefold/examples ${package_files})
install(FILES packaging/fivefold.toml DESTINATION /etc/fivefold ${package_files})
install(FILES packaging/fivefold.logrotate DESTINATION /etc/logrotate.d RENAME fivefold ${package_files})
install(FILES packaging/welcome.html DESTINATION ${CMAKE_INSTALL_DATADIR}/fivefold ${package_files})
install(DIRECTORY DESTINATION /usr/lib/cgi-bin ${package_files})

# DESTDIR staging, so that the absolute paths above stay inside the package.
set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
get_property(worker_packages GLOBAL PROPERTY FIVEFOLD_WORKERS)
set(CPACK_COMPONENTS_ALL server debian ${worker_packages})
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME fivefold)
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_NAME fivefold)
set(CPACK_PACKAGE_VENDOR "Fivefold")
set(CPACK_PACKAGE_CONTACT "Fivefold developers <fivefold@packages.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_DEBIAN_FIVEFOLD_DESCRIPTION
    "Fivefold sends files, starts CGI programs, and starts and supervises\napplication servers (Node.js, Python, Java, anything that listens). Which way\na program runs is one word of its configuration, so the same code can be moved from one\nexecution model to another.")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_DEPENDS "base-passwd, init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_RECOMMENDS ca-certificates)   # for applications behind https://
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_SUGGESTS "fivefold-php, fivefold-perl, fivefold-python, logrotate, perl, python3, nodejs (>= 18), default-jre-headless (>= 2:1.17), libtomcat10-java")
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_PROVIDES "httpd, httpd-cgi")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_FIVEFOLD_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/packaging/debian/conffiles ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
    ${CMAKE_SOURCE_DIR}/packaging/debian/prerm ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)

# An interpreter for the module model is a package of its own, so that the server's does not bring three of them.
set(php_of "PHP, as the server's own workers run it: opcache, worker mode, several sites on one machine.")
set(perl_of "Perl, as the server's own workers run it: CGI scripts that are compiled once, and PSGI applications.")
set(python_of "Python, as the server's own workers run it: WSGI and ASGI applications, WebSockets too, without another server.")
set(php_depends ", libphp8.2-embed")  # has no shlibs of its own
set(php_suggests "php8.2-opcache, php8.2-mysql, php8.2-sqlite3")
set(perl_suggests "libcgi-pm-perl, libplack-perl")
set(python_suggests "python3-django, python3-flask, python3-uvloop")
foreach(worker IN LISTS worker_packages)
  string(TOUPPER ${worker} WORKER)
  set(CPACK_DEBIAN_${WORKER}_PACKAGE_NAME fivefold-${worker})
  set(CPACK_DEBIAN_${WORKER}_PACKAGE_DEPENDS "fivefold (= ${PROJECT_VERSION}-1)${${worker}_depends}")
  set(CPACK_DEBIAN_${WORKER}_PACKAGE_SUGGESTS "${${worker}_suggests}")
  set(CPACK_DEBIAN_${WORKER}_DESCRIPTION "${${worker}_of}")
endforeach()
include(CPack)
cpack_add_component(server GROUP fivefold)
cpack_add_component(debian GROUP fivefold)
cpack_add_component_group(fivefold)
