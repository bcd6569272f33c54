target_link_libraries(floor_plugin PUBLIC ltdl)
