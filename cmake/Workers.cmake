# What the server puts beside the programs it starts: the preload of Node.js applications and the launcher of Java web applications. In the
# build folder they lie as they are installed, below share/fivefold.
set(FIVEFOLD_WORKERS ${CMAKE_BINARY_DIR}/share/fivefold)

add_custom_command(
  OUTPUT ${FIVEFOLD_WORKERS}/node/preload.cjs
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/workers/node/preload.cjs ${FIVEFOLD_WORKERS}/node/preload.cjs
  DEPENDS ${CMAKE_SOURCE_DIR}/workers/node/preload.cjs VERBATIM)
add_custom_target(node_preload DEPENDS ${FIVEFOLD_WORKERS}/node/preload.cjs)
add_dependencies(fivefold node_preload)
install(FILES workers/node/preload.cjs DESTINATION ${CMAKE_INSTALL_DATADIR}/fivefold/node COMPONENT server)

# The jars are Debian's libtomcat10-java. Without them, or without a compiler, there is no launcher, and `servlet = ...` says so.
set(FIVEFOLD_JARS /usr/share/java CACHE PATH "Folder with Tomcat 10's jars and the compiler for its JSPs")
find_program(FIVEFOLD_JAVAC javac)
find_program(FIVEFOLD_JAR jar)
set(tomcat_jars)
foreach(name tomcat10-catalina tomcat10-coyote tomcat10-servlet-api tomcat10-util tomcat10-util-scan tomcat10-juli tomcat10-api tomcat10-jni
        tomcat10-jaspic-api tomcat10-annotations-api tomcat10-jasper tomcat10-jasper-el tomcat10-jsp-api tomcat10-el-api tomcat10-websocket
        tomcat10-websocket-api tomcat10-websocket-client-api tomcat10-dbcp tomcat10-jdbc eclipse-jdt-core)
  list(APPEND tomcat_jars ${FIVEFOLD_JARS}/${name}.jar)
endforeach()
if(NOT FIVEFOLD_JAVAC OR NOT FIVEFOLD_JAR)
  message(STATUS "No javac: built without the launcher for Java web applications (openjdk-17-jdk-headless)")
elseif(NOT EXISTS ${FIVEFOLD_JARS}/tomcat10-catalina.jar)
  message(STATUS "No Tomcat 10: built without the launcher for Java web applications (libtomcat10-java)")
else()
  file(GLOB launcher_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/workers/java/fivefold/*.java)
  # Found when the launcher starts, not copied into it: security updates of Debian's packages count without a build.
  list(JOIN tomcat_jars " " class_path)
  list(JOIN tomcat_jars ":" compile_path)
  # A line of a manifest has at most 72 bytes; `jar` folds them.
  file(WRITE ${CMAKE_BINARY_DIR}/launcher/manifest.txt "Main-Class: fivefold.Launcher\nClass-Path: ${class_path}\n")
  add_custom_command(
    OUTPUT ${FIVEFOLD_WORKERS}/java/launcher.jar
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${CMAKE_BINARY_DIR}/launcher/classes
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/launcher/classes ${FIVEFOLD_WORKERS}/java
    COMMAND ${FIVEFOLD_JAVAC} --release 17 -Xlint:all,-path -Werror -cp ${compile_path} -d ${CMAKE_BINARY_DIR}/launcher/classes ${launcher_sources}
    COMMAND ${FIVEFOLD_JAR} --create --file ${FIVEFOLD_WORKERS}/java/launcher.jar --manifest ${CMAKE_BINARY_DIR}/launcher/manifest.txt
            -C ${CMAKE_BINARY_DIR}/launcher/classes .
    DEPENDS ${launcher_sources} ${CMAKE_BINARY_DIR}/launcher/manifest.txt VERBATIM)
  add_custom_target(servlet_launcher DEPENDS ${FIVEFOLD_WORKERS}/java/launcher.jar)
  add_dependencies(fivefold servlet_launcher)
  install(FILES ${FIVEFOLD_WORKERS}/java/launcher.jar DESTINATION ${CMAKE_INSTALL_DATADIR}/fivefold/java COMPONENT server)
endif()
